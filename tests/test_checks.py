"""The border for numbers: what comes in, as which bits, and what is refused in whose name."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from femnn.checks import brief, checked, indices, integer, number, numbers, positive
from femnn.exceptions import MeshError, ParameterError


class Series:
    """What a series of pandas is to NumPy."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1, 2, 3])


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        range(1, 4),
        np.array([1, 2, 3], dtype=np.int8),
        np.array([1, 2, 3], dtype=np.float32),
        np.array([1.0, 0.0, 2.0, 0.0, 3.0])[::2],
        np.array([1, 2, 3], dtype=object),
        torch.tensor([1.0, 2.0, 3.0]),
        Series(),
    ],
)
def test_whatever_holds_real_numbers_comes_in(values):
    np.testing.assert_array_equal(numbers("x", values), [1.0, 2.0, 3.0])


def test_a_float_array_comes_in_as_it_is():
    x = np.ones((2, 3))
    x.setflags(write=False)
    assert numbers("x", x) is x


def test_integers_of_any_size_come_in():
    assert numbers("x", [10**30, 1])[0] == 1e30
    assert number("x", 10**30) == 1e30


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (None, "None"),
        ([1j, 1.0], "complex"),
        (np.ma.masked_array([1.0, 2.0], mask=[True, False]), "mask"),
        ([np.ma.masked, 1.0], "mask"),
        ([[np.ma.masked_array([1.0])]], "mask"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "date"),
        (np.array([3], dtype="timedelta64[s]"), "time span"),
        (["1", "2"], "text"),
        ([b"1"], "bytes"),
        ([None, 1.0], "object"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous|sequence"),
        (np.zeros(2, dtype="f4,f4"), "structured"),
        ([1.0, np.nan], "finite"),
        ([10**400], "larger than any float"),
        (torch.ones(2, requires_grad=True), "no array of numbers"),
    ],
)
def test_what_holds_other_things_is_refused_by_name(values, says):
    with pytest.raises(ParameterError, match=f"(?s)density.*({says})|({says}).*density"):
        numbers("density", values)


@pytest.mark.parametrize("value", [True, None, "3", 1.5, 3.0, 1j, np.timedelta64(3, "s"), [3], np.array([3])])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ParameterError, match="count="):
        integer("count", value)


def test_integers_keep_to_their_bounds():
    assert integer("count", np.int8(3), 1, 3) == integer("count", np.array(3), 1, 3) == 3
    for value in (0, 4, 10**30):
        with pytest.raises(ParameterError, match="of at least 1, at most 3"):
            integer("count", value, 1, 3)
    assert integer("seed", 10**30, at_least=0, at_most=None) == 10**30


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan, 5e-324, 1e-310, 10**400, "1", 1j])
def test_what_is_not_positive_with_all_digits_is_refused(value):
    with pytest.raises(ParameterError, match=r"^size"):
        positive("size", value)


def test_positive_numbers_of_any_size_come_in():
    assert [positive("size", value) for value in (3, np.float32(0.5), 1e-307, 1e308)] == [3.0, 0.5, 1e-307, 1e308]


@pytest.mark.parametrize("value", [5e-324, -5e-324, np.float64(1e-310)])
@pytest.mark.parametrize("interval", ["(-inf, inf)", "(0, inf)", "[-1, 1]"])
def test_numbers_that_have_lost_their_digits_are_refused(value, interval):
    with pytest.raises(ParameterError, match=r"^size="):
        number("size", value, interval)


@checked()
def opened(path: str | os.PathLike, others: Sequence[str | os.PathLike] = (), name: str | os.PathLike | None = None):
    return path


@pytest.mark.parametrize("wrong", ["a" * 300, "x/" * 2100, "a\0b", "\ud800", Path("a" * 256) / "b", Path("é" * 128)])
@pytest.mark.parametrize("place", ["path", "others", "name"])
def test_what_no_file_system_takes_is_no_path(wrong, place):
    arguments = {"path": "file.npz"} | {place: [wrong] if place == "others" else wrong}
    with pytest.raises(ParameterError, match=rf"^(a value of )?{place}=.* is no path"):
        opened(**arguments)


def test_paths_come_in_as_they_are():
    for right in ("file.npz", Path("a" * 255) / "b", "é" * 100, ""):
        assert opened(right, [right], None) is right


def test_indices_are_integers_of_the_range():
    assert indices("cells", [], 3).dtype.kind == "i"
    for wrong in ([0.0], [3], [-1], [True]):
        with pytest.raises(ParameterError, match="cells"):
            indices("cells", wrong, 3)


@checked(hexahedra="n 8 3", weights="n", share="[0, 1)", points="3 q | 3 n q")
def function(
    hexahedra: np.ndarray,
    weights: np.ndarray | None = None,
    share: float = 0.0,
    points: np.ndarray | None = None,
    count: int = 1,
    name: str = "",
    exact: bool = False,
):
    return hexahedra, weights, share, count, exact


def test_functions_get_arrays_of_floats_and_numbers():
    hexahedra, weights, share, count, exact = function(
        np.ones((2, 8, 3), int), [1, 2], np.float32(0.5), count=np.int8(2)
    )
    assert hexahedra.dtype == weights.dtype == float
    assert (type(share), type(count), exact) == (float, int, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"weights": [1.0]}, r"weights has shape \(1,\), expected is \(n\) with n = 2"),
        ({"points": np.zeros((3, 3, 1))}, "points has shape"),
        ({"share": 1.0}, r"share=1.0 is not allowed; pass a real number in \[0, 1\)"),
        ({"share": np.nan}, "share=nan"),
        ({"count": 1.5}, "count=1.5"),
        ({"name": 3}, "name is 3"),
        ({"exact": 2}, "exact=2"),
    ],
)
def test_functions_refuse_by_name_of_the_argument(arguments, says):
    with pytest.raises(ParameterError, match=says):
        function(np.ones((2, 8, 3)), **arguments)


def test_elements_are_refused_as_parts_of_a_mesh():
    with pytest.raises(MeshError, match="hexahedra"):
        function(np.ones((2, 8, 2)))


def test_values_are_shown_in_short_whatever_they_are():
    class Hostile:
        def __repr__(self):
            raise RuntimeError

    assert "Hostile" in brief(Hostile())
    assert len(brief("a" * 1000)) <= 80
    assert "\n" not in brief(np.eye(2))


def test_what_follows_the_places_is_not_taken_for_what_is_named_behind():
    @checked()
    def function(n: int, *args: object, share: float = 0.5, **options: object) -> tuple:
        return n, args, share, options

    assert function(1, "two", "three", share=0.25, name="x") == (1, ("two", "three"), 0.25, {"name": "x"})
    with pytest.raises(ParameterError, match="share='a'"):
        function(1, "two", share="a")
    with pytest.raises(ParameterError, match="n='one'"):
        function("one", "two")


def test_a_sequence_has_an_axis():
    @checked()
    def count(values: Sequence[float]) -> int:
        return len(values)

    assert count(np.ones(3)) == 3
    with pytest.raises(ParameterError, match=r"values is .*no axes"):
        count(np.array(3.0))
