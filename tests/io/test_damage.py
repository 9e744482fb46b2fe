"""A small share of the campaign of damaged files: every kind, a few flips, cuts, swaps and insertions each."""

import json
import os
import socket
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from support.damage import KINDS, Campaign, damaged

from femnn.exceptions import DatasetError, ParameterError, StateError, WeightFileError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import CARD_HASH, Contents, GuardedFile, parse_json, sealed
from femnn.io.path_data import PathDataSet
from femnn.io.restart import read_restart
from femnn.io.weight_files import load_weights, save_weights
from femnn.tasks.run import load_result


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_refused_or_harmless(tmp_path, name):
    campaign = Campaign(KINDS[name], tmp_path / "files")
    outcomes = [campaign.outcome(seed) for seed in range(25)]
    assert outcomes.count("refused") > 12


def test_damage_is_reproducible(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(256)) * 8)
    assert damaged(path, 3) == damaged(path, 3) != damaged(path, 4)
    assert all(damaged(path, seed) != path.read_bytes() for seed in range(50))


def guarded(path):
    return GuardedFile(path, StateError, "file of a test", "write it again")


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices are of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket"])
def test_special_files_are_refused_at_once(tmp_path, kind):
    path = tmp_path / "special.npz"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
    readers = {
        StateError: lambda: read_restart(path, "a test"),
        DatasetError: lambda: [PathDataSet.load(path), load_result(path)],
        WeightFileError: lambda: load_weights(path.rename(path.with_suffix(".safetensors"))),
    }
    for error, read in readers.items():
        with pytest.raises(error, match=f"{kind}|no weight file"):
            read()
    path = path.with_suffix(".safetensors")
    with pytest.raises(ParameterError, match=f"is a {kind}, nothing is written there"), atomic_write(path):
        raise AssertionError("the block is not entered")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e999}', "too large"),
        (f'{{"a": {"9" * 400}}}', "too large"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        ("[" * 100_000, "nested"),
        ('{"a":' * 20_000, "nested"),
        ("[" * 200 + "]" * 200, "nested"),
        ('{"a": "\\ud800"}', "surrogates"),
        (b"\xff", "utf-8"),
        ("", "Expecting value"),
    ],
)
def test_json_that_is_none_or_ambiguous(tmp_path, text, message):
    with pytest.raises(StateError, match=message):
        guarded(tmp_path / "card.json").json(text)
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def array(shape, descr="<f8", data=b""):
    """An array of a NumPy archive with a header of one's own."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "content",
    [
        array((10**12,)),
        array((2**40, 2**40)),
        array((-1, -8), data=bytes(64)),
        array((1,), "|O", b"cos\nsystem\n(S'true'\ntR."),
        array((3,), data=bytes(16)),
        array("((" * 4000),
        b"no array",
    ],
)
def test_headers_that_claim_what_is_not_there(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("u.npy", content)
    with pytest.raises(StateError, match="is no whole file of a test"):
        guarded(tmp_path / "a.npz").arrays()


def test_archives_that_unpack_to_more_than_can_be(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("u.npy", array((1000,), data=bytes(8000)))
    content = bytearray(path.read_bytes())
    # the size that the directory claims
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(StateError, match="claims to hold 4,294,967,294 bytes"):
        guarded(path).arrays()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("u.npy", array((1,), data=bytes(8)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("u.npy", array((1,), data=b"12345678"))
    with pytest.raises(StateError, match="different arrays"):
        guarded(path).arrays()


def test_tensors_that_claim_what_is_not_there(tmp_path):
    whole = safetensors.numpy.save({"a": np.arange(4.0)})
    for content in (
        (2**60).to_bytes(8, "little") + whole[8:],
        whole.replace(b"[4]", b"[5]"),
        whole.replace(b"F64", b"F99"),
        whole.replace(b"F64", b"U64")[:-1],
        b"",
    ):
        with pytest.raises(StateError, match="is no whole safetensors file"):
            guarded(tmp_path / "a.safetensors").tensors(content)


def test_cards_are_protected_by_their_hash(tmp_path):
    file = guarded(tmp_path / "card.json")
    card = sealed({"scale": 1.5, "range": (0.0, 1.0), "sha256": "0" * 64})
    assert file.card(json.dumps(card))["range"] == [0.0, 1.0]
    with pytest.raises(StateError, match="is not that of its fields"):
        file.card(json.dumps({**card, "scale": 1.25}))
    # an earlier card has no hash, but one whose name is damaged is none of these
    older = {name: value for name, value in card.items() if name != CARD_HASH}
    assert file.card(json.dumps(older))["scale"] == 1.5
    with pytest.raises(StateError, match="unknown field 'card_sha25v'"):
        file.card(json.dumps({**older, "card_sha25v": card[CARD_HASH]}))


@pytest.mark.parametrize(
    "take",
    [
        lambda c: c.text("number"),
        lambda c: c.number("text"),
        lambda c: c.number("true"),
        lambda c: c.number("missing"),
        lambda c: c.number("number", 1.0),
        lambda c: c.number("number", high=0.25),
        lambda c: c.number("number", above=0.5),
        lambda c: c.count("number"),
        lambda c: c.count("true"),
        lambda c: c.numbers("text"),
        lambda c: c.numbers("texts"),
        lambda c: c.numbers("numbers", 3),
        lambda c: c.interval("numbers"),
        lambda c: c.box("numbers", "zeros", 2),
        lambda c: c.texts("numbers"),
        lambda c: c.part("numbers"),
        lambda c: c.part("part").number("text"),
        lambda c: c.array("missing", (None,)),
        lambda c: c.array("a", (4,)),
        lambda c: c.array("a", (3, 1)),
        lambda c: c.array("a", (3,), bool),
        lambda c: c.array("nan", (1,)),
        lambda c: c.bounds("a", "zeros", (3,)),
    ],
)
def test_contents_of_other_types_are_refused(tmp_path, take):
    fields = {"text": "x", "number": 0.5, "true": True, "numbers": [2.0, 1.0], "zeros": [0.0, 0.0], "texts": ["x"]}
    arrays = {"a": np.ones(3), "zeros": np.zeros(3), "nan": np.array([np.nan])}
    contents = Contents(guarded(tmp_path / "a.npz"), {**fields, "part": {"text": "x"}}, arrays)
    with pytest.raises(StateError, match=r"a\.npz is no whole file of a test: .*; write it again"):
        take(contents)


@pytest.mark.parametrize("path", ["/", "", "."])
def test_paths_that_name_no_file_are_refused(path):
    with pytest.raises(DatasetError):
        PathDataSet.load(path)
    with pytest.raises(WeightFileError):
        load_weights(path)
    with pytest.raises(WeightFileError, match="names no file"):
        save_weights(path, {"a": np.ones(2)}, {"kind": "a test"})
