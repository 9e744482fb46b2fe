"""Reduced models: errors and cost beside the full problem of the same run."""
