"""One program on one problem in a process of its own: prints its figures as JSON.

    python -m benchmarks.solution.worker PROGRAM FILE THREADS REPEAT

FILE holds the arrays of the problem.

The first solution of the process is the cold one; medians of the REPEAT others are the warm ones. Processor time is
taken with one thread and time by the clock with more.
"""

import json
import sys
import time

import numpy as np

from benchmarks.solution.arrays import Problem
from benchmarks.solution.programs import PROGRAMS
from benchmarks.support.memory import peak


def measure(name, given, threads, repeat):
    """Seconds of each stage, cold and warm, and what tells whether the solution is right."""
    function = PROGRAMS[name].run
    clock = time.process_time if threads == 1 else time.perf_counter
    runs = [_run(function(given, threads), clock) for _ in range(repeat + 1)]
    u = runs[-1][1]
    warm = runs[1:] or runs
    stages = {stage: float(np.median([run[0][stage] for run in warm])) for stage in runs[0][0]}
    return {
        "cold": sum(runs[0][0].values()),
        "warm runs": [sum(run[0].values()) for run in runs[1:]],
        "stages": stages,
        "peak": peak(),
        "vertices": len(u),
        "mean": np.abs(u).mean(axis=0).tolist(),
    }


def _run(stages, clock):
    seconds, stage, begun = {}, None, clock()
    for name, value in stages:
        now = clock()
        if stage is not None:
            seconds[stage] = seconds.get(stage, 0.0) + now - begun
        if name == "set-up share":
            seconds["set-up"] = seconds.get("set-up", 0.0) + value * seconds[stage]
            seconds[stage] *= 1.0 - value
            name = None
        if name == "solution":
            return seconds, value
        stage, begun = name, now
    raise RuntimeError("the program gave no solution")


if __name__ == "__main__":
    program, file, threads, repeat = sys.argv[1:]
    print(json.dumps(measure(program, Problem.read(file), int(threads), int(repeat))))
