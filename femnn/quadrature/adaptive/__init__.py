"""AdaptiveGauss: for each element the cheapest Gauss rule that keeps a tolerance.

``apriori_estimate`` bounds the error along each direction from the complex roots of det J, ``network`` corrects the
estimate, ``calibration`` says how cautious to be with it, and ``by_integration`` chooses for elements that the network
is not trusted with; ``rule`` puts them together. ``data``, ``fit`` and ``train`` make the weights.

>>> import femnn
>>> from femnn.quadrature.adaptive import AdaptiveGauss
>>> AdaptiveGauss(1e-3).report(femnn.distorted_hexahedra(100, 0.1, seed=0)).unmet
()
"""

from femnn.quadrature.adaptive.report import Report
from femnn.quadrature.adaptive.rule import AdaptiveGauss

__all__ = ["AdaptiveGauss", "Report"]
