"""Constitutive laws at points and the bodies made of them."""
