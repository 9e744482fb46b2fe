"""Nonlinear problems along a load path: Newton, arc length, marching in time."""
