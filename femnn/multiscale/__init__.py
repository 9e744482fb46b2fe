"""Fine scales that laws come from: :mod:`femnn.multiscale.grains`, :mod:`femnn.multiscale.rve` and ``fe2``.

:mod:`femnn.multiscale.fe2` makes laws of a solid of periodic cells. The other two make laws of interfaces: both are
driven along a :class:`femnn.io.path_data.PathCommand`, answer a :class:`femnn.io.path_data.PathResponse`, and keep many
of them in a :class:`femnn.io.path_data.PathDataSet`, which :mod:`femnn.cohesive.training` learns from.
"""

__all__: list[str] = []
