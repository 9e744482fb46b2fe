"""Quadrature rules of hexahedra."""
