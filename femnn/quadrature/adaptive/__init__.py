"""AdaptiveGauss: per element the cheapest Gauss rule that meets a tolerance."""
