"""Quadrature rules: how many points they take, what Error they leave, and what that means for solutions."""
