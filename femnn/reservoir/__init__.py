"""Poroelasticity with one or two pore systems."""
