"""Assembly and solution of elasticity in femnn and in the programs that one would otherwise take."""
