"""Elements of meshes that a benchmark can judge: healthy ones, whose integrals converge."""

import click
import numpy as np

from femnn import hexahedra
from femnn.exceptions import FemnnError
from femnn.geometry import VALID, classify
from femnn.mesh_files import read_mesh
from femnn.quadrature.adaptive.directional_errors import converged_points

# Of the elements that are drawn from a larger mesh.
_SEED = 20_260


def read_meshes(paths, most):
    """Vertices of each healthy mesh by name, and remarks about the others."""
    random, meshes, remarks = np.random.default_rng(_SEED), {}, []
    for path in paths:
        try:
            vertices = hexahedra(read_mesh(path))
        except FemnnError as error:
            raise click.ClickException(str(error)) from error
        unfit = int((classify(vertices) != VALID).sum())
        if unfit:
            remarks.append(f"{path.stem} is left out: {unfit:,} of {len(vertices):,} elements are folded or degenerate")
            continue
        if len(vertices) > most:
            vertices = vertices[random.permutation(len(vertices))[:most]]
        meshes[path.stem] = settled(vertices)
        unsure = len(vertices) - len(meshes[path.stem])
        if unsure:
            remarks.append(f"{path.stem} without {unsure:,} elements so nearly folded that no reference is sure")
    return meshes, remarks


def settled(vertices):
    """Without the elements so nearly folded that no reference is sure."""
    return vertices[converged_points(vertices)[1]]
