from pathlib import Path

import pytest

import femnn

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "meshes"


@pytest.fixture(scope="session")
def published_meshes():
    """Folder of the published hexahedral meshes, which are not part of the project."""
    if not PUBLISHED.is_dir():
        pytest.skip("the published meshes are not at hand")
    return PUBLISHED


@pytest.fixture(scope="session")
def distorted():
    """Two hundred elements from nearly cubes to strongly distorted."""
    return femnn.distorted_hexahedra(200, (0.05, 0.35), seed=7)
