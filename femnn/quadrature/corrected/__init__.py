"""CorrectedGauss: Gauss points whose weights networks correct per element.

``networks`` has the published classifier and regressor for 2×2×2 points, ``patch_networks`` the network for 3×3×3
points that keeps the patch test; ``train`` and ``train_patch`` make their weights.
"""

from femnn.quadrature.corrected.rule import CorrectedGauss, CorrectedReport

__all__ = ["CorrectedGauss", "CorrectedReport"]
