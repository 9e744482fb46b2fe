"""Reduced models: the solutions of one structure, its modes, and a rule for the whole problem.

Whoever solves the same structure many times collects :class:`Snapshots` of a few solutions, finds the modes in which
they live (:class:`POD`), and the few integration points with positive weights that integrate the internal forces of
these modes (:class:`EmpiricalCubature`, which is a rule like any other). :class:`ReducedProblem` is then a nonlinear
problem of as many unknowns as there are modes, for :func:`femnn.newton`, :func:`femnn.arc_length` and
:class:`femnn.solvers.SecondOrder`.

Where linear subspaces need too many modes, as for travelling fronts: :class:`LocalBases` are chosen by where the
solution is; on a :class:`QuadraticManifold` or with a :class:`NetworkClosure` most coefficients follow from a few
(``fit_closure`` trains it, and loads torch); a :class:`SparseDecoder` gives all unknowns (``fit_autoencoder``, or
:func:`random_feature_decoder` in seconds).
:class:`QuadraticGalerkin` projects quadratic equations exactly.
"""

from femnn.reduced.cubature import EmpiricalCubature
from femnn.reduced.decoder_kernels import PartOfDecoder
from femnn.reduced.dense import solve_dense
from femnn.reduced.fingerprint import numbering
from femnn.reduced.forms import FormProblem
from femnn.reduced.local import LocalBases, LocalBasis
from femnn.reduced.manifolds import Manifold, NetworkClosure, QuadraticManifold
from femnn.reduced.pod import POD
from femnn.reduced.problem import ReducedProblem
from femnn.reduced.quadratic import QuadraticGalerkin, ReducedPath
from femnn.reduced.random_features import random_feature_decoder
from femnn.reduced.selection import Selection, sparse_weights
from femnn.reduced.snapshots import Head, Snapshot, Snapshots
from femnn.reduced.sparse_decoder import SparseDecoder

__all__ = [
    "POD",
    "EmpiricalCubature",
    "FormProblem",
    "Head",
    "LocalBases",
    "LocalBasis",
    "Manifold",
    "NetworkClosure",
    "PartOfDecoder",
    "QuadraticGalerkin",
    "QuadraticManifold",
    "ReducedPath",
    "ReducedProblem",
    "Selection",
    "Snapshot",
    "Snapshots",
    "SparseDecoder",
    "numbering",
    "random_feature_decoder",
    "solve_dense",
    "sparse_weights",
]
