"""Benchmarks of what is identified from measurements."""
