"""Tables over all cells or vertices of which each rank keeps a range: what ranks must know of each other's, unseen."""

from itertools import pairwise

import numpy as np


class OwnerDirectory:
    """A table with one entry for each number below ``total``; each rank keeps those of one range.

    Parameters
    ----------
    comm
        mpi4py's communicator.
    numbers : (k,) int64
        What this rank writes to and reads, ascending.
    total
        Length of the table.
    """

    def __init__(self, comm, numbers, total) -> None:
        bounds = total * np.arange(comm.size + 1, dtype=np.int64) // comm.size
        self.comm = comm
        self._runs = [slice(*cut) for cut in pairwise(np.searchsorted(numbers, bounds))]
        #: Entries that this rank keeps.
        self.length = int(bounds[comm.rank + 1] - bounds[comm.rank])
        self._requested = [
            theirs - bounds[comm.rank] for theirs in comm.alltoall([numbers[run] for run in self._runs])
        ]  # fmt: skip

    def send(self, values):
        """Send values (k, ...) to who keeps their entries; a list of (places in the range kept, values), by rank."""
        return list(zip(self._requested, self.comm.alltoall([values[run] for run in self._runs]), strict=True))

    def fetch(self, kept):
        """The entries (k, ...) for the numbers of this rank, each rank giving the range (length, ...) that it keeps."""
        return np.concatenate(self.comm.alltoall([kept[places] for places in self._requested]))
