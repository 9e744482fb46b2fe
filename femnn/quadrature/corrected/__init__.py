"""CorrectedGauss: Gauss points whose weights a network corrects."""
