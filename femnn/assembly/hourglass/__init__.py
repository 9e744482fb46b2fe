"""HourglassCorrection: the part of a linear stiffness that 2×2×2 points miss, added element by element.

``moments`` integrates the hourglass part of an element, ``network`` predicts its error by 2×2×2 points, ``kernels``
makes a stiffness of it; ``train`` makes the weights.
"""

from femnn.assembly.hourglass.correction import HourglassCorrection, HourglassReport

__all__ = ["HourglassCorrection", "HourglassReport"]
