"""Sealing faults in a porous reservoir."""
