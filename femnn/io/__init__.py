"""Files: written whole or not at all, read with checks.

Weight files with their cards, data sets of time for ParaView, tables as text, and the folders of what comes with femnn.

>>> from femnn.io import load_weights, shipped_weights
>>> "cohesive-default" in shipped_weights()
True
>>> tensors, card = load_weights("cohesive-default")
>>> card["kind"]
'cohesive-law'
"""

from femnn.io.atomic import atomic_write, remove_abandoned, temporary_folder
from femnn.io.field_series import FieldSeries, read_field_series
from femnn.io.locations import data_folder
from femnn.io.path_data import PathCommand, PathDataSet, PathResponse
from femnn.io.tables import aligned, markdown
from femnn.io.time_series import TimeSeries, padded, time_series
from femnn.io.weight_files import (
    load_contents,
    load_state,
    load_weights,
    locate,
    save_state,
    save_weights,
    shipped_weights,
)

__all__ = [
    "FieldSeries",
    "PathCommand",
    "PathDataSet",
    "PathResponse",
    "TimeSeries",
    "aligned",
    "atomic_write",
    "data_folder",
    "load_contents",
    "load_state",
    "load_weights",
    "locate",
    "markdown",
    "padded",
    "read_field_series",
    "remove_abandoned",
    "save_state",
    "save_weights",
    "shipped_weights",
    "temporary_folder",
    "time_series",
]
