"""Fine scales that laws are trained on: :mod:`femnn.multiscale.grains` and :mod:`femnn.multiscale.rve`.

Both are driven along a :class:`femnn.io.path_data.PathCommand`, answer a :class:`femnn.io.path_data.PathResponse`, and
keep many of them in a :class:`femnn.io.path_data.PathDataSet`, which :mod:`femnn.cohesive.training` learns from.
"""

__all__: list[str] = []
