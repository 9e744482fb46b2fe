"""Tools for networks: the perceptron, its training, features, trained range, model card; no particular network."""
