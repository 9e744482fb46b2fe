"""The benchmarks: a folder for each family of questions, run by ``femnn bench NAME``."""
