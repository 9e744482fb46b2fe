"""MovedGauss: eight points per element whose places and weights a network predicts.

``network`` predicts, ``projection`` moves the points on to where the patch test holds; ``fit`` and ``train`` make the
weights.
"""

from femnn.quadrature.moved.rule import MovedGauss, MovedReport

__all__ = ["MovedGauss", "MovedReport"]
