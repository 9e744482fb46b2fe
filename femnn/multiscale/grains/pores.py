"""Permeability of a packing of grains by its network of pores, beside Kozeny and Carman's.

PoreSpy cuts the space between the grains into pores and throats (SNOW: J. T. Gostick, Phys. Rev. E 96 (2017) 023307),
and OpenPNM solves the flow of Stokes through them; both come with ``pip install 'femnn[pores]'``. Unlike Kozeny and
Carman's formula the network knows how the pores hang together, and so the direction of the flow.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from femnn.checks import checked, floats, instance, positive, shaped
from femnn.exceptions import MissingExtraError, ParameterError
from femnn.multiscale.grains.measures import kozeny_carman, surface_diameter

# Voxels beside the image by which PoreSpy makes pores of the border.
_BORDER = 3

# Largest image: memory of some gigabytes, minutes of time.
_MOST_VOXELS = 3e7


@checked(grains="unchecked", resolution="[4, 64]")
def network_permeability(grains: Mapping[str, Any], resolution: float = 12.0) -> dict[str, Any]:
    """Permeability of a packing between two rough slabs, by a network of its pores.

    Parameters
    ----------
    grains
        As :func:`sample_grains` has them: ``place`` (n, 3) with the third axis normal to the layer, ``radius`` (n,),
        ``free`` (n,) bool, False for grains of the slabs, and ``width``, the period along the first two axes. What
        counts lies between the lowest and the highest centre of a free grain.
    resolution
        Voxels for a mean diameter.

    Returns
    -------
    dict
        ``permeability`` (3,): normal to the layer, along the first and along the second axis, in the unit of ``radius``
        squared; ``porosity`` of the image, ``kozeny_carman`` at that porosity, ``pores``, ``throats``: how many.

    Raises
    ------
    MissingExtraError
        Without PoreSpy or OpenPNM.
    ParameterError
        If the grains do not fit each other, or the image is too large or has no way through.

    Examples
    --------
    >>> from femnn.exceptions import MissingExtraError
    >>> from femnn.multiscale.grains import GrainLayer, network_permeability, sample_grains
    >>> grains = sample_grains(GrainLayer(grains=100), cache="samples")
    >>> try:
    ...     found = network_permeability(grains, resolution=6)["permeability"]
    ... except MissingExtraError:  # femnn[pores] is not installed
    ...     found = np.zeros(3)
    >>> found.shape
    (3,)
    """
    instance("grains", grains, Mapping, remedy="what sample_grains(layer) gives")
    missing = [name for name in ("place", "radius", "free", "width") if name not in grains]
    if missing:
        raise ParameterError(f"the grains have no {missing[0]!r}; pass what sample_grains(layer) gives")
    place = floats("place", grains["place"])
    if place.ndim != 2 or place.shape[1] != 3:
        raise ParameterError(f"place has shape {place.shape}; give (n, 3)")
    radius, width = shaped("radius", grains["radius"], place.shape[:1]), positive("width", grains["width"])
    free = floats("free", grains["free"]) > 0.5
    if free.shape != radius.shape or np.count_nonzero(free) < 2:
        raise ParameterError(f"{np.count_nonzero(free)} of {len(radius)} grains are free; at least two must be")
    spacing = 2.0 * float(radius.mean()) / resolution
    bottom, top = place[free, 2].min(), place[free, 2].max()
    void = _image(place, radius, width, bottom, top, spacing)
    snow, openpnm = _libraries()
    network = snow(void, voxel_size=spacing, boundary_width=_BORDER).network
    size = np.array(void.shape) * spacing
    tensors = [_flow(openpnm, network, axis, size) for axis in (2, 0, 1)]
    porosity = float(void.mean())
    return {
        "permeability": np.array(tensors),
        "porosity": porosity,
        "kozeny_carman": float(kozeny_carman(porosity, surface_diameter(2.0 * radius))),
        "pores": len(network["pore.coords"]),
        "throats": len(network["throat.conns"]),
    }


def _image(place, radius, width, bottom, top, spacing):
    """Whether each voxel (nx, ny, nz) lies between the grains."""
    counts = np.maximum(np.round(np.array([width, width, top - bottom]) / spacing).astype(int), 1)
    if counts.prod() > _MOST_VOXELS:
        raise ParameterError(f"the image has {counts.tolist()} voxels; lower the resolution or take fewer grains")
    x, y = (np.arange(n) + 0.5 for n in counts[:2])
    levels = bottom + (np.arange(counts[2]) + 0.5) * (top - bottom) / counts[2]
    void = np.ones(counts, dtype=bool)
    columns = np.stack(np.meshgrid(x * width / counts[0], y * width / counts[1], indexing="ij"), axis=-1).reshape(-1, 2)
    tree = cKDTree(columns, boxsize=width)
    for centre, own in zip(place, radius, strict=True):
        near = tree.query_ball_point(np.mod(centre[:2], width), own)
        if not near:
            continue
        away = np.abs(columns[near] - np.mod(centre[:2], width))
        away = np.minimum(away, width - away)
        half = np.sqrt(np.maximum(own**2 - (away**2).sum(axis=1), 0.0))
        inside = np.abs(levels - centre[2]) < half[:, None]
        void.reshape(-1, counts[2])[near] &= ~inside
    return void


def _libraries():
    try:
        # both take seconds to load
        import openpnm
        from porespy.networks import snow2
    except ImportError as error:
        raise MissingExtraError(
            f"networks of pores need OpenPNM and PoreSpy ({error}); install them with pip install 'femnn[pores]'"
        ) from error
    logging.getLogger("openpnm").setLevel(logging.ERROR)
    return snow2, openpnm


def _flow(openpnm, network, axis, size):
    """Permeability along an axis of the image."""
    pores = openpnm.io.network_from_porespy(network)
    pores["pore.diameter"], pores["throat.diameter"] = (
        pores["pore.equivalent_diameter"],
        pores["throat.inscribed_diameter"],
    )
    pores["throat.spacing"] = pores["throat.total_length"]
    pores.add_model(
        propname="throat.hydraulic_size_factors",
        model=openpnm.models.geometry.hydraulic_size_factors.pyramids_and_cuboids,
    )
    openpnm.topotools.trim(network=pores, pores=openpnm.utils.check_network_health(pores)["disconnected_pores"])
    name = "xyz"[axis]
    inlet, outlet = pores.pores(f"{name}min"), pores.pores(f"{name}max")
    if not len(inlet) or not len(outlet):
        raise ParameterError(f"the pores have no way through along axis {axis}; take more grains or a finer image")
    fluid = openpnm.phase.Phase(network=pores)
    fluid["pore.viscosity"] = 1.0
    fluid.add_model(
        propname="throat.hydraulic_conductance", model=openpnm.models.physics.hydraulic_conductance.generic_hydraulic
    )
    flow = openpnm.algorithms.StokesFlow(network=pores, phase=fluid)
    flow.set_value_BC(pores=inlet, values=1.0)
    flow.set_value_BC(pores=outlet, values=0.0)
    flow.run(verbose=False)
    rate = float(np.sum(flow.rate(pores=inlet, mode="group")))
    return rate * size[axis] / (size.prod() / size[axis])
