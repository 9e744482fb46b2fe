"""Values at nodes that several ranks have: summed on the owner, and copied from it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class GhostExchange:
    """Who shares which nodes. Nodes are numbered on each rank: those it owns first, then ghosts, owner by owner.

    Attributes
    ----------
    comm
        mpi4py's communicator.
    n_owned
        Nodes that this rank owns.
    ghosts : list of (rank, slice)
        Owner of each run of ghosts.
    mirrors : list of (rank, (k,) int64)
        Own nodes that another rank has as ghosts, in the order of its ghosts.
    """

    comm: object
    n_owned: int
    ghosts: list
    mirrors: list

    def __repr__(self):
        return f"{self.n_owned:,} nodes owned, ghosts of {len(self.ghosts)} ranks"

    @classmethod
    def of(cls, comm, owners, ids):
        """The exchange of nodes in the order above, from the owner of each (n,) and their global numbers (n,)."""
        n_owned = int((owners == comm.rank).sum())
        wanted, ghosts = [np.empty(0, dtype=np.int64)] * comm.size, []
        for rank in np.unique(owners[n_owned:]):
            first, end = n_owned + np.searchsorted(owners[n_owned:], [rank, rank + 1])
            ghosts.append((int(rank), slice(int(first), int(end))))
            wanted[rank] = ids[first:end]
        mirrors = []
        for rank, theirs in enumerate(comm.alltoall(wanted)):
            if len(theirs):
                mirrors.append((rank, np.searchsorted(ids[:n_owned], theirs)))
        return cls(comm, n_owned, ghosts, mirrors)

    def update(self, values):
        """Overwrite the ghosts in ``values`` (n, ...) with what their owners have; the array itself is returned."""
        requests, received = [], []
        for rank, run in self.ghosts:
            buffer = np.empty_like(values[run], order="C")
            requests.append(self.comm.Irecv(buffer, source=rank))
            received.append((run, buffer))
        sent = [np.ascontiguousarray(values[nodes]) for _, nodes in self.mirrors]
        requests += [self.comm.Isend(buffer, dest=rank) for buffer, (rank, _) in zip(sent, self.mirrors, strict=True)]
        _wait(requests)
        for run, buffer in received:
            values[run] = buffer
        return values

    def sum(self, values):
        """Sum over all ranks at each node, the same on all of them; ``values`` (n, ...) is overwritten and returned.

        Summed in the order of the ranks: the same bits each time.
        """
        requests, received = [], []
        for rank, nodes in self.mirrors:
            buffer = np.empty((len(nodes), *values.shape[1:]), dtype=values.dtype)
            requests.append(self.comm.Irecv(buffer, source=rank))
            received.append((nodes, buffer))
        sent = [np.ascontiguousarray(values[run]) for _, run in self.ghosts]
        requests += [self.comm.Isend(buffer, dest=rank) for buffer, (rank, _) in zip(sent, self.ghosts, strict=True)]
        _wait(requests)
        for nodes, buffer in received:
            values[nodes] += buffer
        return self.update(values)


def _wait(requests):
    for request in requests:
        request.Wait()
