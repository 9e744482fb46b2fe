"""Laws of a solid that come from a periodic cell: in full, hyper-reduced, or learned.

A :class:`PeriodicCell` of hexahedra, with inclusions and interfaces that break, answers a macroscopic strain with its
mean stress and tangent. :class:`CellLaw` puts it at every point of a :class:`femnn.Solid`; :class:`ReducedCellLaw` does
the same with a few modes and points, which :func:`record_cell` and :func:`draw_strain_paths` give it to learn from.
:class:`RecurrentLaw` is a network of units that yield, which :mod:`femnn.multiscale.fe2.fit_recurrent` trains on paths
that the reduced cell is driven along (it loads torch); :class:`GatedLaw` is an ordinary network of LSTM or GRU cells,
trained by :mod:`femnn.multiscale.fe2.fit_gated`. :func:`follow` drives any of them along paths of strain.
"""

from femnn.multiscale.fe2.cell import CellResponse, PeriodicCell
from femnn.multiscale.fe2.composite import (
    Composite,
    simulate_cell,
    simulate_cell_paths,
    simulate_reduced,
    simulate_reduced_paths,
)
from femnn.multiscale.fe2.gated import GatedLaw
from femnn.multiscale.fe2.images import CellImage, cell_images, images_of
from femnn.multiscale.fe2.law import CellLaw, follow
from femnn.multiscale.fe2.paths import draw_strain_paths
from femnn.multiscale.fe2.periodicity import PeriodicBox, cell_with_inclusions
from femnn.multiscale.fe2.recurrent import RecurrentLaw, rotations
from femnn.multiscale.fe2.reduced_cell import ReducedCellLaw, record_cell

__all__ = [
    "CellImage",
    "CellLaw",
    "CellResponse",
    "Composite",
    "GatedLaw",
    "PeriodicBox",
    "PeriodicCell",
    "RecurrentLaw",
    "ReducedCellLaw",
    "cell_images",
    "cell_with_inclusions",
    "draw_strain_paths",
    "follow",
    "images_of",
    "record_cell",
    "rotations",
    "simulate_cell",
    "simulate_cell_paths",
    "simulate_reduced",
    "simulate_reduced_paths",
]
