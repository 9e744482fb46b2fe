"""Traction-separation laws."""
