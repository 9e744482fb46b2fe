"""Forecasts of flows: networks with memory, and everything simpler."""
