"""What the benchmarks share: reports, targets, memory."""
