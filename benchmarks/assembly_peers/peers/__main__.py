"""A process that holds one program and one mesh and does what it is told: a line of JSON in, a line of JSON out.

``python -m benchmarks.assembly_peers.peers PROGRAM RULE MESH.npz``; the commands are the methods of ``Worker``.
"""

import json
import os
import sys

from benchmarks.assembly_peers.peers.worker import Worker
from benchmarks.support.memory import limit_to_available


def _serve(arguments):
    # what programs print must not come between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    limit_to_available()
    worker = Worker(*arguments)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("do"))(**command)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1:])
