"""A path with damage on ranks that another program starts: one rank may fail or be killed after some steps.

path_program.py CHECKPOINT [--go-on] [--fail STEP | --kill STEP]
"""

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.structures import RULE, Damage, beam, pulled

import femnn
from femnn.parallel import DistributedMesh, RankProblem, checkpoint, solve, world

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("--go-on", action="store_true")
parser.add_argument("--fail", type=int)
parser.add_argument("--kill", type=int)
options = parser.parse_args()

comm = world()
last = comm.rank == comm.size - 1
distributed = DistributedMesh.of(beam() if comm.rank == 0 else None)
problem = RankProblem(distributed, femnn.Solid(distributed.mesh, RULE, Damage()))
u, t = np.zeros(distributed.n_dofs), 0.0
if options.go_on:
    u, t, _ = checkpoint.load(options.checkpoint, problem)
done = []


def after(step):
    checkpoint.save(options.checkpoint, problem, step.u, step.t)
    done.append(step.t)
    if last and len(done) == options.fail:
        raise RuntimeError("the disk of this rank is on fire")
    if last and len(done) == options.kill:
        os.kill(os.getpid(), signal.SIGKILL)


times = [time for time in (0.25, 0.5, 0.75, 1.0) if time > t]
path = femnn.newton(
    problem,
    np.zeros(distributed.n_dofs),
    *pulled(distributed.mesh, 1e-2),
    steps=times,
    initial=u,
    start=t,
    solver=partial(solve, rtol=1e-11, overwrite=True),
    callback=after,
    progress=False,
)
work = distributed.dot(path.u, path.u)
if comm.rank == 0:
    print(f"t = {path.t:g}, u · u = {work:.15e}")
