"""MovedGauss: eight points and weights of their own for each element."""
