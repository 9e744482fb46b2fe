"""Numbers of a restart file that are not those that were written are refused, however whole the file is."""

import json

import numpy as np
import pytest

from femnn.exceptions import StateError
from femnn.io.restart import read_restart, write_restart


def test_other_numbers_in_a_whole_file_are_refused(tmp_path):
    path = tmp_path / "restart.npz"
    write_restart(path, "truss", {"t": 0.5}, {"u": np.arange(3.0)})
    with np.load(path) as file:
        contents = dict(file)
    header = json.loads(contents["header"].item())
    for changed in ({"u": np.array([0.0, 1.0, 2.5])}, {"header": np.array(json.dumps({**header, "t": 0.75}))}):
        np.savez_compressed(path, **{**contents, **changed})
        with pytest.raises(StateError, match="not those that were written, by their sha256"):
            read_restart(path, "truss")
    np.savez_compressed(path, **contents)
    assert read_restart(path, "truss").number("t") == 0.5
