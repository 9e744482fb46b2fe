"""Linear systems: multigrid or factors, chosen by size, checked."""
