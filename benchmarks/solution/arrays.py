"""What every program starts from: coefficients, and a problem as arrays. Needs nothing but NumPy."""

from typing import NamedTuple

import numpy as np

YOUNG, POISSON, WEIGHT = 210e9, 0.3, -77e3
SHEAR = YOUNG / (2 * (1 + POISSON))
LAME = YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))

#: λ and μ of the neo-Hookean blocks (J. Bonet's W = μ/2 (tr C - 3) - μ ln J + λ/2 ln² J), and how far they are pulled.
RUBBER, PULLED, STEPS = (2.0, 1.0), 0.3, 5

#: Yield stress and hardening modulus (Pa) of the plastic bracket, and its load in multiples of its own weight.
YIELD, HARDENING, OVERLOAD = 250e6, 2e9, 400.0

#: Relative residual that every program is asked for.
RTOL = 1e-8


class Problem(NamedTuple):
    """What is to be solved.

    Attributes
    ----------
    kind
        ``"linear"``, ``"triquadratic"``, ``"neo-Hookean"`` or ``"plastic"``.
    p : (3, n) float64, t : (8, m)
        Vertices and elements in scikit-fem's order.
    held : (k,)
        Vertices that are held; for triquadratic elements what lies on the same plane as well.
    pulled : (l,)
        Vertices that are moved along the first axis, in neo-Hookean blocks.
    """

    kind: str
    p: np.ndarray
    t: np.ndarray
    held: np.ndarray
    pulled: np.ndarray

    @property
    def mesh(self):
        """The mesh of scikit-fem."""
        import skfem

        return skfem.MeshHex(self.p, self.t)

    @property
    def cells(self):
        """(m, 8): vertices in VTK's order, right-handed, as other programs expect them."""
        from femnn.geometry import TO_VTK

        return np.ascontiguousarray(self.t[TO_VTK[[4, 5, 6, 7, 0, 1, 2, 3]]].T, dtype=np.int32)

    def write(self, path):
        """Write the arrays into an npz file."""
        np.savez(path, **self._asdict())

    @classmethod
    def read(cls, path):
        """The problem of a file."""
        with np.load(path) as arrays:
            return cls(str(arrays["kind"]), *(arrays[name] for name in cls._fields[1:]))
