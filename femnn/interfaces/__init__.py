"""Cohesive interfaces: splitting a mesh, interface elements, cracks through elements, the problem they make."""
