"""Solution of linear and nonlinear equations."""
