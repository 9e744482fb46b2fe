"""Ranks: a mesh in parts, assembled and solved with MPI and PETSc."""
