"""Hexahedra: reading meshes, vertex order, validity, quality, symmetry, random ones."""
