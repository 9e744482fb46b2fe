"""Fine scales that laws are trained on: grains, and cells of cracked rock."""
