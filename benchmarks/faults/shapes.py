"""Hexahedra of every shape, size and position: integrated as exactly as arithmetic with more digits does, or refused.

The comparison is computed here by itself, in NumPy's long double numbers (64 bits of mantissa and exponents to 10^4932
on x86; where they are no more than double ones, the tolerances allow for it), from differences to a vertex.
"""

import numpy as np
import skfem
from skfem.models.elasticity import linear_elasticity

import femnn
from benchmarks.faults.campaign import Kind, Lost, Tally
from femnn.exceptions import FoldedElementError, MeshError
from femnn.geometry.hexahedron import VERTICES
from femnn.integration.lame import lame_parameters
from femnn.integration.stiffness import elasticity_stiffness, laplace_stiffness, mass_matrix

_BATCH = 100
_POISSON = 0.3
#: Relative to the largest Bernstein coefficient of det J: beyond it, its sign is beyond doubt.
_CLEAR = 1e-6
#: Elements nearer to the origin than this many of their sizes have to be integrated: further away, digits are missing.
_NEAR = 1e7
_TO_BERNSTEIN = np.array([[1, 0, 0], [-0.5, 2, -0.5], [0, 0, 1]], dtype=np.longdouble)

RULES = {
    "AdaptiveGauss(1e-3)": femnn.AdaptiveGauss(1e-3),
    "AdaptiveGauss(1e-3, verify=True)": femnn.AdaptiveGauss(1e-3, verify=True),
    "CorrectedGauss()": femnn.CorrectedGauss(),
    "CorrectedGauss(3, patch=True)": femnn.CorrectedGauss(3, patch=True),
    "MovedGauss(patch=True)": femnn.MovedGauss(patch=True),
    "Irons()": femnn.Irons(),
}


# --- elements


def distorted(random):
    return VERTICES + random.uniform(-1.0, 1.0, (8, 3)) * random.choice([0.0, 0.01, 0.1, 0.25])


def stretched(random):
    x = distorted(random) * 10.0 ** random.uniform(-4.0, 0.0, 3)
    return x @ np.linalg.qr(random.normal(size=(3, 3)))[0]


def sheared(random):
    return distorted(random) @ (np.eye(3) + np.triu(random.uniform(-5.0, 5.0, (3, 3)), 1))


def arbitrary(random):
    return random.uniform(0.0, 1.0, (8, 3))


def strongly_distorted(random):
    return VERTICES + random.uniform(-0.6, 0.6, (8, 3))


def flat(random):
    x = distorted(random)
    x[:, random.integers(3)] *= random.choice([0.0, 1e-300, 1e-17, 1e-12, 1e-8])
    return x


def merged(random):
    x = distorted(random)
    for _ in range(random.integers(1, 5)):
        a, b = random.integers(8, size=2)
        x[a] = x[b]
    return x


def swapped(random):
    x = distorted(random)
    a, b = random.choice(8, 2, replace=False)
    x[[a, b]] = x[[b, a]]
    return x


def mirrored(random):
    return distorted(random) * [1.0, 1.0, -1.0]


SHAPES = {
    "distorted": distorted,
    "stretched": stretched,
    "sheared": sheared,
    "arbitrary": arbitrary,
    "strongly distorted": strongly_distorted,
    "flat": flat,
    "with merged vertices": merged,
    "with swapped vertices": swapped,
    "mirrored": mirrored,
}


def drawn(shape, random):
    """A batch of elements of any size, about a third of them far from the origin."""
    elements = np.stack([shape(random) for _ in range(_BATCH)])
    far = 10.0 ** random.uniform(0.0, 9.0, (_BATCH, 1, 1)) * random.normal(size=(_BATCH, 1, 3))
    elements = np.where(random.uniform(size=(_BATCH, 1, 1)) < 0.3, elements + far, elements)
    return elements * 10.0 ** random.uniform(-90.0, 90.0, (_BATCH, 1, 1))


# --- what is right


def shifted(elements):
    """Coordinates relative to a vertex, in units of the largest of them, and this unit (n,): long double numbers."""
    x = elements.astype(np.longdouble)
    x = x - x[:, -1:]
    size = np.abs(x).max(axis=(1, 2))
    return x / np.where(size > 0, size, 1)[:, None, None], size


def jacobians(x, points):
    """∂x_i/∂ξ_k, shape (n, q, 3, 3), and the gradients ∂N_a/∂ξ_k, (q, 8, 3), at ``points`` (3, q)."""
    points = np.asarray(points, dtype=np.longdouble).T[:, None, :]
    factors = np.where(VERTICES == 1.0, points, 1 - points)
    signs = (2 * VERTICES - 1).astype(np.longdouble)
    slopes = np.stack([signs[:, k] * np.delete(factors, k, axis=2).prod(axis=2) for k in range(3)], axis=2)
    return np.einsum("nai,qak->nqik", x, slopes), slopes


def determinants(jacobian):
    """Determinants (...) of matrices (..., 3, 3), by hand: LAPACK has no long doubles."""
    return np.einsum("...i,...i->...", jacobian[..., 0], np.cross(jacobian[..., 1], jacobian[..., 2]))


def signs(x):
    """For each element: det J clearly keeps one sign everywhere; it clearly changes it, or is zero."""
    line = np.array([0.0, 0.5, 1.0])
    lattice = np.stack(np.meshgrid(line, line, line, indexing="ij")).reshape(3, -1)
    values = determinants(jacobians(x, lattice)[0]).reshape(-1, 3, 3, 3)
    coefficients = np.einsum("ia,jb,kc,nabc->nijk", *[_TO_BERNSTEIN] * 3, values, optimize=True)
    largest = np.abs(coefficients).max(axis=(1, 2, 3))
    # a flat element has nothing but rounding
    limit = np.where(largest > 1e-15, _CLEAR * largest, np.inf)
    # either sign is healthy
    kept = (coefficients.min(axis=(1, 2, 3)) > limit) | (coefficients.max(axis=(1, 2, 3)) < -limit)
    changed = (values.min(axis=(1, 2, 3)) < -limit) & (values.max(axis=(1, 2, 3)) > limit)
    return kept, changed | (largest == 0)


def matrices(x, points, weights):
    """Matrices of elasticity (n, 24, 24), of diffusion and of mass (n, 8, 8), and the condition of J (n,)."""
    jacobian, slopes = jacobians(x, points)
    determinant = determinants(jacobian)
    columns = [jacobian[..., k] for k in range(3)]
    rows = [np.cross(columns[(k + 1) % 3], columns[(k + 2) % 3]) for k in range(3)]
    inverse = np.stack(rows, axis=-2) / determinant[..., None, None]
    condition = (np.abs(jacobian).sum(axis=(2, 3)) * np.abs(inverse).sum(axis=(2, 3))).max(axis=1)
    gradients = np.einsum("qak,nqki->nqai", slopes, inverse)
    scale = np.abs(determinant) * np.asarray(weights, dtype=np.longdouble)
    moments = np.einsum("nq,nqai,nqbj->naibj", scale, gradients, gradients)
    diffusion = np.einsum("naibi->nab", moments)
    lmbda, mu = lame_parameters(1.0, _POISSON)
    elasticity = lmbda * moments + mu * np.einsum("naibj->najbi", moments)
    elasticity += mu * np.einsum("nab,ij->naibj", diffusion, np.eye(3))
    points = np.asarray(points, dtype=np.longdouble).T[:, None, :]
    values = np.where(VERTICES == 1.0, points, 1 - points).prod(axis=2)
    mass = np.einsum("nq,qa,qb->nab", scale, values, values)
    return elasticity.reshape(-1, 24, 24), diffusion, mass, condition


# --- cases


def _kind(name):
    def prepare(folder):
        def case(draw, folder):
            random = np.random.default_rng(draw.getrandbits(64))
            elements = drawn(SHAPES[name], random)
            try:
                return compared(elements, random)
            except Exception:
                np.save(folder / "elements.npy", elements)
                raise

        return case

    return Kind(f"shapes: {name}", 112, 120.0, prepare, __name__)


def compared(elements, random):
    """Tally of a batch: matrices by GaussLegendre(2 or 3), one rule of the others, and the whole mesh."""
    x, size = shifted(elements)
    kept, changed = signs(x)
    near = np.abs(elements).max(axis=(1, 2)) < _NEAR * size
    tally, answered = Tally(), []
    rule = femnn.GaussLegendre(int(random.integers(2, 4)))
    for number, element in enumerate(elements):
        try:
            groups = rule.groups(element[None])
        except FoldedElementError:
            groups = None
        if groups is None and kept[number] and near[number]:
            raise Lost(f"element {number} of elements.npy is refused as folded, but it is not")
        if groups is not None and changed[number]:
            raise Lost(f"element {number} of elements.npy is folded, but it is integrated")
        if groups is None:
            tally.refused += 1
        else:
            answered.append(number)
    tally.answered = len(answered)
    # those whose det J is near zero somewhere have no digits to compare
    good = np.array([number for number in answered if kept[number]], dtype=int)
    if len(good):
        compare_matrices(elements, x, size, good, rule)
        other = random.choice(list(RULES))
        compare_rule(elements[good], other)
        compare_mesh(elements[good[near[good]]])
    return tally


def compare_matrices(elements, x, size, good, rule):
    """Matrices of single elements against those in long double numbers."""
    (group,) = rule.groups(elements[good])
    *expected, condition = matrices(x[good], group.X, group.W)
    tolerance = 1e-13 * condition**2
    functions = (
        lambda: elasticity_stiffness(elements[good], group.X, group.W, poisson=_POISSON),
        lambda: laplace_stiffness(elements[good], group.X, group.W),
        lambda: mass_matrix(elements[good], group.X, group.W),
    )
    for function, matrix, power in zip(functions, expected, (1, 1, 3), strict=True):
        wanted = matrix * (size[good] ** power)[:, None, None]
        difference = np.abs(function() - wanted).max(axis=(1, 2)) / np.abs(wanted).max(axis=(1, 2))
        worst = int(np.argmax(difference / tolerance))
        if not difference[worst] <= tolerance[worst]:
            raise Lost(
                f"element {good[worst]} of elements.npy: a matrix of size^{power} differs by {difference[worst]:.1e} "
                f"of its largest entry, {tolerance[worst]:.1e} is allowed"
            )


def compare_rule(elements, name):
    """A rule of femnn gives finite points for every element once; a verified one keeps its tolerance."""
    rule = RULES[name]
    groups = rule.groups(elements)
    cells = np.sort(np.concatenate([group.cells for group in groups]))
    if not np.array_equal(cells, np.arange(len(elements))):
        raise Lost(f"{name} has other cells than those it was given")
    for group in groups:
        if not (np.isfinite(group.X).all() and np.isfinite(group.W).all()):
            raise Lost(f"{name} has points or weights that are not finite")
    if "verify" in name:
        error = femnn.integration_error(elements, rule, reference=30)
        # the promise is an estimate: a tenth is allowed for it
        if not error.max() <= 1.1e-3:
            raise Lost(f"{name} leaves an Error of {error.max():.2e}")


def compare_mesh(elements):
    """Assembly of a mesh of separate elements against scikit-fem's, and the volume."""
    if not len(elements):
        return
    # scikit-fem computes with the coordinates as they are: only elements near the origin, of one size, can be compared
    elements = elements[np.abs(elements).max(axis=(1, 2)) < 1e3 * np.ptp(elements, axis=1).max(axis=1)]
    if not len(elements):
        return
    size = np.ptp(elements, axis=1).max(axis=1)
    elements = elements / size[:, None, None] * size[0]
    mesh = skfem.MeshHex(elements.reshape(-1, 3).T, np.arange(8 * len(elements)).reshape(-1, 8).T)
    rule = femnn.GaussLegendre(2)
    try:
        found = femnn.assemble_elasticity(mesh, rule, young=1.0, poisson=_POISSON)
    except MeshError as error:
        raise Lost(f"assembly refuses a mesh of elements that the rule takes: {error}") from error
    (group,) = rule.groups(elements)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex1()), quadrature=(group.X, group.W))
    wanted = skfem.asm(linear_elasticity(*lame_parameters(1.0, _POISSON)), basis)
    condition = matrices(shifted(elements)[0], group.X, group.W)[3]
    difference = np.abs((found - wanted).toarray()).reshape(-1, 24, 24 * len(elements)).max(axis=(1, 2))
    largest = np.abs(wanted.toarray()).reshape(-1, 24, 24 * len(elements)).max(axis=(1, 2))
    worst = int(np.argmax(difference / largest / condition**2))
    # coordinates of up to a thousand sizes cost scikit-fem three digits
    if not difference[worst] <= 1e-10 * condition[worst] ** 2 * largest[worst]:
        raise Lost(f"assembly differs from that of scikit-fem by {difference[worst] / largest[worst]:.1e}")


def kinds():
    """A kind for each family of shapes."""
    return [_kind(name) for name in SHAPES]
