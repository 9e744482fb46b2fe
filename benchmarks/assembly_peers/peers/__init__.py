"""Assembly of elasticity in femnn and its peers: what each is, and processes that run them one at a time."""
