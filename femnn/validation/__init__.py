"""Problems that examples, tests and benchmarks share."""
