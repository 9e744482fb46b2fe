"""Cohesive laws: accuracy on unseen paths, dissipation, speed and iterations of Newton's method."""
