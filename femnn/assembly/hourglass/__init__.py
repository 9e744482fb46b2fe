"""HourglassCorrection: what 2×2×2 points miss of a linear stiffness, added by a network."""
