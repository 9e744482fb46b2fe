"""The part of a linear elastic stiffness that 2×2×2 Gauss points miss, predicted element by element."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation, degree, scalar_element
from femnn.assembly.elasticity import elastic_coefficients
from femnn.assembly.element_matrices import ISOTROPIC, TANGENT
from femnn.assembly.hourglass.kernels import add_stiffness, check_differences, element_stiffness
from femnn.assembly.hourglass.moments import missed_points
from femnn.assembly.hourglass.network import OUTPUTS, differences, hourglass_features, hourglass_range
from femnn.assembly.pattern import Pattern
from femnn.assembly.scatter import structure
from femnn.checks import checked
from femnn.exceptions import ParameterError, WeightFileError
from femnn.geometry.canonical_pose import canonical_frames, canonical_warps
from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.mesh import require_hexahedra
from femnn.geometry.validity import VALID, classify, healthy_array, healthy_vertices
from femnn.integration.gauss import tensor_gauss
from femnn.integration.lame import lame_parameters
from femnn.integration.stiffness import elasticity_stiffness
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import load_networks
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule, describe

KIND = "hourglass-correction"

# Elements whose features and outputs are held at a time: 2048 take 10 MB.
_CHUNK = 2048

# A prediction may leave this share of what 2×2×2 points miss.
_MOST_LEFT = 0.3

# Below this warp what 2×2×2 points miss is round-off: the element counts as a parallelepiped.
_NO_WARP = 1e-6


@dataclass(frozen=True)
class HourglassReport:
    """Elements that a correction corrects, and those that it leaves.

    Attributes
    ----------
    elements
        Their number.
    out_of_range
        Numbers of those out of the trained range, which keep the stiffness of 2×2×2 points.
    integrated
        Number of those whose prediction was found to be far off, and that are corrected by 3×3×3 points instead.

    Examples
    --------
    >>> from femnn.assembly.hourglass import HourglassReport
    >>> report = HourglassReport(elements=100, out_of_range=(3, 7), integrated=1)
    >>> report.corrected
    98
    """

    elements: int
    out_of_range: tuple[int, ...]
    integrated: int = 0

    @property
    def corrected(self) -> int:
        """Number of elements that are corrected, by the network or by integration."""
        return self.elements - len(self.out_of_range)

    def __str__(self) -> str:
        text = f"HourglassCorrection on {self.elements:,} elements: {self.corrected:,} corrected"
        if self.integrated:
            text += f", {self.integrated:,} of them by 3×3×3 points, because the network is far off there"
        count = len(self.out_of_range)
        if count:
            text += (
                f"\n  out of the trained range, left to 2×2×2 points: {count:,} ({count / self.elements:.2%}), "
                f"first {self.out_of_range[0]}"
            )
        return text


class HourglassCorrection:
    """Adds to the stiffness by 2×2×2 Gauss points what they miss on trilinear elements, for any linear material.

    K = K_2×2×2 + Γ ΔS Γᵀ: everything that quadrature can get wrong sits in the hourglass part of the element, a 12 × 12
    matrix S that depends on the shape in the element's own axes alone. A network predicts ΔS from the twelve numbers
    J₀⁻¹h; its contraction with the material and the metric of the element is exact, so one network serves every
    Young's modulus, Poisson's ratio and anisotropic stiffness, and every affine map of the element. Before use each
    prediction is checked: where it leaves more than 0.3 of what 3×3×3 points find beyond 2×2×2 ones, what these find is
    taken, so that no element becomes worse. Elements out of the range of training keep the stiffness of 2×2×2 points.
    :meth:`report` counts both.

    Parameters
    ----------
    weights
        Name of shipped weights or path of a file from ``femnn train hourglass``.

    Raises
    ------
    WeightFileError
        If the weights are missing, damaged or foreign.

    Notes
    -----
    *Rigid modes and patch test* are those of 2×2×2 points, exactly: Γ is orthogonal to functions that are linear in
    space. Parallelepipeds are not changed at all.

    *Definiteness* is by construction. The prediction is S = θ S_2×2×2 + R with θ = 1/2 and R = Σ r rᵀ, whatever the
    network says (:mod:`femnn.assembly.hourglass.network`). For a displacement with twist amplitudes β (4 × 3), each
    term of a sum S = Σ r rᵀ adds the energy E : C : E ≥ 0 of the strain E_im = Σ_k r_ki β_km. So K ≥ θ K_2×2×2 for
    every positive definite C: positive semi-definite, with the six zero-energy modes of 2×2×2 points and no others.

    The corrected matrix approximates the exactly integrated one. With a Poisson's ratio near 1/2 that matrix locks, as
    exact integration of trilinear elements does; the correction neither causes nor cures it.

    Γ after D. P. Flanagan, T. Belytschko, IJNME 17 (1981) 679-706.

    Examples
    --------
    >>> import skfem, femnn
    >>> mesh, correction = skfem.MeshHex().refined(1), femnn.HourglassCorrection()
    >>> K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3, hourglass=correction)
    >>> print(correction.report(mesh))
    HourglassCorrection on 8 elements: 8 corrected
    """

    @checked(weights="unchecked")
    def __init__(self, *, weights: str | os.PathLike = KIND) -> None:
        loaded = load_networks(weights, KIND)
        loaded.require(networks=("factors",))
        self.card = loaded.card
        self._network = loaded.networks["factors"].in_single_precision()
        self._range = TrainedRange.from_weights(loaded)
        self._check(loaded)

    def corrected(self, hexahedra: ArrayLike) -> np.ndarray:
        """Elements that are corrected, (n,) bool: those in the range of training. All must be healthy."""
        x = healthy_array(hexahedra)
        return self._range.in_range(hourglass_range(canonical_warps(x)[0]))

    def report(self, mesh: Any) -> HourglassReport:
        """Counts of the elements of a mesh, or of an array (n, 8, 3), that are corrected and that are not."""
        x = healthy_vertices(mesh)
        _, _, in_range, integrated = self._corrections(x)
        return HourglassReport(len(x), tuple(np.flatnonzero(~in_range).tolist()), int(integrated.sum()))

    def matrix(
        self,
        mesh: Any,
        young: Any = None,
        poisson: Any = None,
        *,
        stiffness: Any = None,
        on_folded: str = "raise",
        pattern: Pattern | None = None,
        out: csr_matrix | None = None,
    ) -> csr_matrix:
        """The correction of a whole mesh as a sparse matrix, to be added to a stiffness by 2×2×2 points.

        Add it to ``skfem.asm`` of your own form on ``skfem.ElementVector(skfem.ElementHex1())`` with ``intorder=3``,
        or on ``femnn.bases(mesh, element, femnn.GaussLegendre(2))``: the degrees of freedom are numbered alike.
        Arguments as for :func:`femnn.assemble_elasticity`, coefficients constant in each element.

        Returns
        -------
        scipy.sparse.csr_matrix
            The same bits for any number of threads.

        Raises
        ------
        MeshError, FoldedElementError, ParameterError, MemoryError
        """
        rule = GaussLegendre(2)
        require_hexahedra(mesh)
        discretisation = Discretisation.of(mesh, rule, None, on_folded, pattern)
        form, coefficients = elastic_coefficients(young, poisson, stiffness, discretisation)
        self.require(rule, None, form, coefficients)
        pattern = discretisation.pattern
        matrix = pattern.empty_matrix(3) if out is None else pattern.require_own(out, 3)
        matrix.data[:] = 0.0
        self.add_to(matrix, discretisation, form, coefficients)
        return matrix

    @checked(hexahedra="unchecked")
    def stiffness(self, hexahedra: ArrayLike, young: float = 1.0, poisson: float = 0.3) -> np.ndarray:
        """Corrected stiffness of each element, shape (n, 24, 24), row 3a + i; all must be healthy."""
        x = healthy_array(hexahedra)
        numbers = np.array([lame_parameters(young, poisson)])
        change = self._element_changes(ISOTROPIC, x, numbers, np.zeros(len(x), dtype=np.int64))
        return elasticity_stiffness(x, *tensor_gauss(2, 2, 2), young, poisson) + change

    @checked()
    def require(self, rule: Rule, element: Any, form: int, coefficients: Coefficients) -> None:
        """Raise ParameterError unless the correction was made for these: see ``matrix``."""
        if not isinstance(rule, GaussLegendre) or rule.per_axis != (2, 2, 2):
            raise ParameterError(
                f"the hourglass correction adds what 2×2×2 Gauss points miss, the rule is {rule!r}; pass "
                "femnn.GaussLegendre(2), or hourglass=None"
            )
        if degree(scalar_element(element)) > 1:
            raise ParameterError(
                "the hourglass correction is made for trilinear elements; pass element=skfem.ElementHex1(), or "
                "hourglass=None"
            )
        if coefficients.step:
            raise ParameterError(
                "the hourglass correction needs coefficients that are constant in each element, these vary from point "
                "to point; pass one value per element, or hourglass=None"
            )
        if form == TANGENT:
            tensors = coefficients.values.reshape(-1, 6, 6)
            skew = np.abs(tensors - tensors.transpose(0, 2, 1)).max(axis=(1, 2))
            wrong = np.flatnonzero(skew > 1e-9 * np.abs(tensors).max(axis=(1, 2)))
            if len(wrong):
                raise ParameterError(
                    f"stiffness {wrong[0]} is not symmetric: entries differ from their transposes by up to "
                    f"{skew[wrong[0]]:g}; pass a symmetric (6, 6) stiffness, or hourglass=None"
                )

    @checked()
    def add_to(self, matrix: csr_matrix, discretisation: Discretisation, form: int, coefficients: Coefficients) -> None:
        """Add the correction to a matrix that was assembled with the pattern of ``discretisation``."""
        x = discretisation.hexahedra
        integrated = (discretisation.points.counts > 0) & (classify(x) == VALID)
        if not integrated.any():
            return
        # folded elements, left out or integrated with a warning, get a harmless placeholder shape and no correction
        shapes = np.where(integrated[:, None, None], x, x[np.argmax(integrated)])
        changes, orders, in_range, _ = self._corrections(shapes)
        kernel_pattern, (*colouring, opens) = structure(discretisation.pattern)
        blocks = (*colouring, np.zeros_like(opens))
        add_stiffness(
            form,
            x,
            orders,
            changes,
            coefficients.values,
            coefficients.rows,
            in_range & integrated,
            kernel_pattern,
            blocks,
            matrix.data,
        )

    def _element_changes(self, form, x, numbers, rows):
        changes, orders, *_ = self._corrections(x)
        vertices, size = in_own_units(x)
        result = element_stiffness(form, vertices, orders, changes, numbers, rows) * size[:, None, None]
        # from the component-major rows of assembly to the node-major rows of femnn.integration.kernels
        return result.reshape(-1, 3, 8, 3, 8).transpose(0, 2, 1, 4, 3).reshape(-1, 24, 24)

    def _corrections(self, x):
        """ΔS (n, 78), vertices in the order of the pose (n, 8), and two arrays (n,) bool.

        ΔS is that of the network, or by integration where the network is far off, and 0 out of range. The two tell
        which elements are in range, and which are integrated.
        """
        changes, orders = np.empty((len(x), 78)), np.empty((len(x), 8), dtype=np.int64)
        in_range, integrated = np.empty(len(x), dtype=bool), np.empty(len(x), dtype=bool)
        for start in range(0, len(x), _CHUNK):
            rows = slice(start, start + _CHUNK)
            warps, orders[rows], inverses = canonical_frames(x[rows])
            in_range[rows] = self._range.in_range(hourglass_range(warps))
            predicted = differences(self._network, warps)
            changes[rows], replaced = check_differences(warps, inverses, *missed_points(), _MOST_LEFT, predicted)
            # what parallelepipeds miss is round-off, of which the network leaves any share
            integrated[rows] = replaced & in_range[rows] & (np.linalg.norm(warps.reshape(-1, 12), axis=1) > _NO_WARP)
        changes[~in_range] = 0.0
        return changes, orders, in_range, integrated

    def _check(self, loaded):
        shape = self._network.architecture
        wanted = (hourglass_features(np.zeros((1, 3, 4))).shape[1], OUTPUTS)
        if (shape.inputs, shape.outputs) != wanted or self._range.low.shape != (14,):
            raise WeightFileError(
                f"the network of {loaded.path} takes {shape.inputs} numbers to {shape.outputs}, needed are {wanted[0]} "
                f"to {wanted[1]}; train it again with this version of femnn"
            )

    def __repr__(self) -> str:
        return "HourglassCorrection()"

    def __str__(self) -> str:
        return describe(self, self.card)
