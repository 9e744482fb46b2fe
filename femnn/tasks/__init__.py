"""Many independent runs of one function: spread over processes or a Dask cluster, kept as files, resumed, retried.

:func:`run_tasks` writes the arrays that each task returns to a file of its own. An interrupted run goes on when it is
called again, and results are the same, bit by bit, whatever the number of workers.

The function must be at the top of a module, where workers find it::

    def draw(seed):
        return {"values": np.random.default_rng(seed).normal(size=3)}

    if __name__ == "__main__":
        outcome = run_tasks(draw, {f"seed-{k}": {"seed": k} for k in range(100)}, "runs")
        outcome.require_all().load("seed-7")["values"]
"""

from femnn.tasks.run import Outcome, load_result, run_tasks, task_name

__all__ = ["Outcome", "load_result", "run_tasks", "task_name"]
