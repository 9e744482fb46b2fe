"""The model of a run on ranks: what an element and the surface of a part cost. Counted, not fitted.

Trilinear hexahedra, as many nodes as elements (true of large meshes), 27 neighbours a node, PETSc's 32-bit indices.
"""

from math import log2

# 27 blocks of 3 × 3 a node: a double and a column number for each entry
ENTRIES = 27 * 9
MATRIX = ENTRIES * (8 + 4)
# What assembly on a part holds besides: the contributions of its own cells with their structure, slots, coordinates.
CONTRIBUTIONS = MATRIX + 8 * 8 * 2 + 27 * (4 + 8) + 8 * 3 * 8 + 27 * 8
# Rows of the coarser levels and the interpolation, relative to the matrix; products while they are set up.
LEVELS, SETUP = 0.35, 0.6
# Multiplications by the matrix in a cycle: four steps of Chebyshev down and up, two residuals, one of the iteration.
PRODUCTS = 2 * 4 + 2 + 1
# Flops of 2×2×2 points in the fused kernel, and bytes that its sums go through.
KERNEL_FLOPS, KERNEL_BYTES = 9.5e3, 3 * 8 * ENTRIES

# A machine of a cluster, assumed: cores, memory traffic (bytes/s), network (bytes/s), latency (s).
NODE = {"cores": 64, "memory": 256e9, "bandwidth": 300e9, "network": 12e9, "latency": 2e-6}


def bytes_per_element():
    """At the peak of assembly, and of the solution."""
    return {"assembly": MATRIX + CONTRIBUTIONS, "solution": MATRIX * (1.0 + LEVELS + SETUP)}


def surface(elements):
    """Nodes on the surface that a compact part of so many elements shares with others."""
    return 6.0 * elements ** (2.0 / 3.0)


def solution(elements, ranks, iterations, bandwidth, network, latency):
    """Seconds of the iterations, by memory traffic and by communication.

    ``bandwidth`` and ``network`` are those of one rank.
    """
    own = elements / ranks
    products = iterations * PRODUCTS * (1.0 + LEVELS)
    traffic = products * own * (MATRIX + 5 * 24)
    if ranks == 1:
        return {"traffic": traffic / bandwidth, "halo": 0.0, "reductions": 0.0}
    levels = max(1.0, log2(elements) / log2(27))
    halo = products * 24 * surface(own) / network + iterations * PRODUCTS * levels * 6 * latency
    return {
        "traffic": traffic / bandwidth,
        "halo": halo,
        "reductions": iterations * 3 * latency * log2(ranks),
    }


def large(elements=1e8, iterations=60):
    """What a mesh of so many elements needs on machines like ``NODE``, 70 % of their memory filled, one rank a core."""
    peak = max(bytes_per_element().values())
    machines = -(-elements * peak // (0.7 * NODE["memory"]))
    ranks = int(machines * NODE["cores"])
    per_rank = {key: NODE[key] / NODE["cores"] for key in ("bandwidth", "network")}
    parts = solution(elements, ranks, iterations, latency=NODE["latency"], **per_rank)
    return {
        "elements": elements,
        "iterations": iterations,
        "memory": elements * peak,
        "machines": int(machines),
        "ranks": ranks,
        "elements a rank": elements / ranks,
        "entries a rank": ENTRIES * elements / ranks,
        "surface": surface(elements / ranks) / (elements / ranks),
        "kernel": elements / ranks * KERNEL_BYTES / per_rank["bandwidth"],
        **parts,
        # rank 0 reads and partitions the whole: coordinates, connectivity, the graph of METIS and its copies
        "mesh on rank 0": elements * (24 + 8 * 8 + 2 * 6 * 4 + 3 * 6 * 8),
    }
