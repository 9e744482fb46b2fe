"""Meshes, matrices and nonlinear problems over the ranks of an MPI program.

Each rank assembles its own cells with the kernels that one machine uses, PETSc solves, and :func:`femnn.newton` makes
the same decisions on all ranks. Importing this room needs nothing extra; a run needs mpi4py and petsc4py, and
:func:`partition` pymetis: ``pip install 'femnn[mpi]'``.

    comm = world()
    mesh = DistributedMesh.of(read_mesh("part.vtu") if comm.rank == 0 else None)
    K = assemble_elasticity(mesh, femnn.GaussLegendre(2), young=210e9, poisson=0.3)
    u = solve(K, load, mesh.dofs_on("fixed")).x
"""

from femnn.parallel import checkpoint
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.faulted import RankFaultedReservoir
from femnn.parallel.local_mesh import LocalMesh, fingerprint, local_meshes
from femnn.parallel.matrix import RankMatrix, Rows, assemble_elasticity
from femnn.parallel.partition import FIXED_COST, cell_costs, imbalance, partition, points_per_cell
from femnn.parallel.partition_files import digest, read_local_mesh, write_local_mesh
from femnn.parallel.porous import RankPorousProblem
from femnn.parallel.porous_output import RankFaultSeries, RankSeries
from femnn.parallel.problem import RankProblem
from femnn.parallel.ranks import together, world
from femnn.parallel.solver import RankSolution, solve
from femnn.parallel.subdivision import subdivided, subdivided_points
from femnn.parallel.timing import Timing, peak_memory

__all__ = [
    "FIXED_COST",
    "DistributedMesh",
    "LocalMesh",
    "RankFaultSeries",
    "RankFaultedReservoir",
    "RankMatrix",
    "RankPorousProblem",
    "RankProblem",
    "RankSeries",
    "RankSolution",
    "Rows",
    "Timing",
    "assemble_elasticity",
    "cell_costs",
    "checkpoint",
    "digest",
    "fingerprint",
    "imbalance",
    "local_meshes",
    "partition",
    "peak_memory",
    "points_per_cell",
    "read_local_mesh",
    "solve",
    "subdivided",
    "subdivided_points",
    "together",
    "world",
    "write_local_mesh",
]
