"""Networks: how they are trained."""
