"""Layers of grains sheared in LAMMPS, and the data set of their responses."""
