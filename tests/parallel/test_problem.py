"""femnn.newton decides on a rank as it does without ranks; what needs PETSc and MPI is in tests/mpi."""

from types import SimpleNamespace

import numpy as np
from support.nonlinear_problems import Chain, quiet
from support.one_rank import ALONE

import femnn
from femnn.parallel.problem import RankEquilibrium
from femnn.solvers.linear.degrees_of_freedom import prescribe


class OnOneRank(Chain):
    """The chain with what a problem over all ranks has; its one vertex is this rank's own."""

    equilibrium = RankEquilibrium
    distributed = SimpleNamespace(
        comm=ALONE,
        n_owned=1,
        dot=lambda a, b: float(a @ b),
        prescribed=lambda fixed, values: prescribe(3, fixed, values),
    )

    def residual_and_tangent(self, u):
        force, tangent = super().residual_and_tangent(u)
        return force, SimpleNamespace(matrix=tangent, is_finite=lambda: True)


def test_a_path_on_a_rank_is_that_without_ranks():
    pulled = {"load": np.zeros(3), "fixed": [0, 2], "values": [0.0, 5.0], "steps": 20}
    found = quiet(OnOneRank(), **pulled, solver=lambda K, *given: femnn.solve(K.matrix, *given))
    expected = quiet(Chain(), **pulled)
    np.testing.assert_array_equal(found.u, expected.u)
    assert [step.residuals for step in found.steps] == [step.residuals for step in expected.steps]
