"""Weight files: tensors in ``NAME.safetensors``, and beside them the card ``NAME.json`` that says what they are.

Nothing here executes what it reads: safetensors hold numbers, cards hold JSON.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from femnn.checks import brief, checked
from femnn.exceptions import DatasetError, ParameterError, WeightFileError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import Contents, GuardedFile, digest, sealed

FORMAT = "femnn-weights"
VERSION = 1

# What the maker of a card must say; format, version, sha256 and femnn are filled in.
FIELDS = ("kind", "what", "architectures", "trained_range", "data", "training", "test")


@checked()
def save_weights(path: str | os.PathLike, tensors: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Path:
    """Write ``path.safetensors`` and its card ``path.json``.

    Both files are complete on the disk before either takes its place, so an error or a full disk leaves the old pair as
    it was. If the machine stops between the two renamings, `load_weights` notices by the hash.

    Parameters
    ----------
    path
        Where to; ``.safetensors`` is appended where it is missing.
    tensors
        Finite arrays by name.
    card
        ``kind`` (``"integration-points"``, ...), ``what`` (in prose), ``architectures`` (network name to the fields of
        its architecture), ``trained_range``, ``data`` (seed, counts), ``training`` (options) and ``test`` (figures).

    Returns
    -------
    pathlib.Path
        The safetensors file.

    Raises
    ------
    ParameterError
        If a field of the card is missing or cannot be JSON, or a tensor is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.io import save_weights
    >>> card = dict.fromkeys(["what", "architectures", "trained_range", "data", "training", "test"], {})
    >>> path = save_weights("net", {"scale": np.ones(3)}, {**card, "kind": "my-scale"})
    >>> path.name, sorted(file.name for file in path.parent.glob("net.*"))
    ('net.safetensors', ['net.json', 'net.safetensors'])

    See Also
    --------
    femnn.networks.save_networks : for networks, whose architectures go into the card
    """
    weights_path, card_path = _pair(Path(path))
    missing = [field for field in FIELDS if field not in card]
    if missing:
        raise ParameterError(
            f"the card of {weights_path} lacks {', '.join(missing)}; a weight file must say what it is"
        )
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise ParameterError(f"tensor {name} for {weights_path} holds NaN or infinity; train again before saving")
    # safetensors writes the buffer as it lies in memory, whatever the strides say
    content = safetensors.numpy.save({name: np.asarray(values, order="C") for name, values in tensors.items()})
    complete = {
        "format": FORMAT,
        "version": VERSION,
        **card,
        "sha256": hashlib.sha256(content).hexdigest(),
        "femnn": _femnn_version(),
    }
    text = card_text(complete, weights_path)
    with atomic_write(card_path) as temporary_card, atomic_write(weights_path) as temporary_weights:
        temporary_card.write_text(text, encoding="utf-8")
        temporary_weights.write_bytes(content)
    return weights_path


def load_weights(
    name_or_path: str | os.PathLike, kind: str | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a weight file and its card, and check that they are whole, belong together and are what is asked for.

    Parameters
    ----------
    name_or_path
        A bare name (no folder, no suffix) is one of the files shipped in ``femnn/data/pretrained``; everything else is
        a path to either file of the pair.
    kind
        The ``kind`` that the card must have; None takes any.

    Returns
    -------
    tensors : dict
        Finite arrays by name.
    card : dict
        The fields of the card.

    Raises
    ------
    WeightFileError
        If a file is missing, damaged, foreign, of another version or kind, or holds NaN or infinity.

    Examples
    --------
    >>> from femnn.io import load_weights
    >>> tensors, card = load_weights("integration-points")
    >>> card["kind"], len(tensors) > 0
    ('integration-points', True)
    """
    weights, card_file = locate(name_or_path)
    card = _read_card(card_file)
    if kind is not None and card["kind"] != kind:
        raise WeightFileError(f"{weights} is of kind {card['kind']!r}, but {kind!r} is needed; pass another file")
    file = weight_file(weights)
    # the bytes that are hashed are the bytes that are used
    content = file.content()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != card["sha256"]:
        raise WeightFileError(
            f"{weights} is damaged or not the file of its card: its sha256 is {sha256}, "
            f"the card says {card['sha256']}; fetch both files again"
        )
    tensors, _ = file.tensors(content)
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise WeightFileError(f"tensor {name} of {weights} holds NaN or infinity; fetch it again, or train again")
    return tensors, card


def load_contents(name_or_path: str | os.PathLike, kind: str) -> Contents:
    """What :func:`load_weights` reads, as contents whose fields are the card and whose arrays the tensors.

    Raises
    ------
    WeightFileError
        As :func:`load_weights`.

    Examples
    --------
    >>> from femnn.io import load_contents
    >>> load_contents("integration-points", "integration-points").fields["kind"]
    'integration-points'
    """
    tensors, card = load_weights(name_or_path, kind)
    return Contents(weight_file(locate(name_or_path)[0]), card, tensors)


def weight_file(path: Path) -> GuardedFile:
    """A weight file or its card, to be read with checks."""
    return GuardedFile(path, WeightFileError, "weight file", "fetch it and its card again, or train again")


def shipped_weights() -> list[str]:
    """Names of the weights that come with femnn, in alphabetical order.

    Examples
    --------
    >>> from femnn.io import shipped_weights
    >>> "integration-points" in shipped_weights()
    True
    """
    return sorted(file.stem for file in _shipped_folder().glob("*.safetensors"))


def locate(name_or_path: str | os.PathLike) -> tuple[Path, Path]:
    """The weight file and the card that a name or path means.

    Raises
    ------
    WeightFileError
        If one of them does not exist; for a name, the names that do exist are listed.

    Examples
    --------
    >>> from femnn.io import locate
    >>> weights, card = locate("integration-points")
    >>> weights.name, card.name
    ('integration-points.safetensors', 'integration-points.json')
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise WeightFileError(
            f"weights are {brief(name_or_path)}; pass the name of shipped weights or the path of a file"
        )
    name = os.fspath(name_or_path)
    is_name = not any(mark in name for mark in ("/", os.sep, ".safetensors", ".json"))
    if is_name:
        name = _shipped_folder() / name
    try:
        weights, card = _pair(Path(name))
        is_file = weights.is_file()
    except (OSError, ValueError) as error:
        raise WeightFileError(f"{brief(name_or_path)} can be no path of a file: {error}") from error
    if not is_file:
        shipped = shipped_weights()
        hint = f"the shipped ones are {', '.join(shipped) or 'none'}; a file of your own needs its folder or suffix"
        raise WeightFileError(f"there is no weight file {weights}; {hint if is_name else 'check the path'}")
    if not card.is_file():
        raise WeightFileError(f"{weights} has no card {card.name} beside it; copy both files of the pair")
    return weights, card


def install(path: str | os.PathLike, name: str) -> None:
    """Put the weight file at ``path`` and its card in the place of the shipped ones called ``name``.

    Raises
    ------
    WeightFileError
        As `load_weights` does; the shipped files then stay as they are.
    """
    load_weights(path)
    for source, target in zip(locate(path), _pair(_shipped_folder() / name), strict=True):
        with atomic_write(target) as temporary:
            temporary.write_bytes(source.read_bytes())


@checked()
def save_state(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], identity: Mapping[str, Any], history: Mapping[str, Any]
) -> None:
    """Write what a training needs to go on into one safetensors file, atomically.

    Parameters
    ----------
    path
        Where to.
    tensors
        Weights and moments, of any shape.
    identity
        ``options``, ``network`` and ``data``: for each a dict that must be the same when training goes on. JSON.
    history
        Course of the training so far. JSON.

    Raises
    ------
    ParameterError
        If these cannot be JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.io import load_state, save_state
    >>> identity = {"options": {"seed": 0}, "network": {"layers": [3, 8, 1]}, "data": {"rows": 100}}
    >>> save_state("training.state", {"weights": np.zeros(8)}, identity, {"losses": [1.0, 0.5]})
    >>> tensors, history = load_state("training.state", identity)
    >>> history["losses"]
    [1.0, 0.5]
    """
    text = _to_json({"identity": identity, "history": history}, path, indent=None)
    content = safetensors.numpy.save(
        {name: np.asarray(values, order="C") for name, values in tensors.items()},
        metadata={"state": text, "sha256": digest(tensors, text)},
    )
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


@checked()
def load_state(path: str | os.PathLike, identity: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read tensors and history that `save_state` wrote for the same ``identity``.

    Raises
    ------
    WeightFileError
        If the file is damaged, was not written by `save_state`, or belongs to another network.
    ParameterError, DatasetError
        If it was written with other options, with other data.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.exceptions import ParameterError
    >>> from femnn.io import load_state, save_state
    >>> identity = {"options": {"seed": 0}, "network": {"layers": [3, 8, 1]}, "data": {"rows": 100}}
    >>> save_state("training.state", {"weights": np.zeros(8)}, identity, {})

    A state of other options is refused:

    >>> try:
    ...     load_state("training.state", {**identity, "options": {"seed": 1}})
    ... except ParameterError as error:
    ...     print("seed" in str(error))
    True
    """
    path = Path(path)
    file = GuardedFile(path, WeightFileError, "checkpoint", f"delete {path} to train from the beginning")
    tensors, entries = file.tensors()
    if "state" not in entries or "sha256" not in entries:
        raise WeightFileError(f"{path} is no checkpoint of femnn but another safetensors file; pass another path")
    sha256 = digest(tensors, entries["state"])
    if sha256 != entries["sha256"]:
        raise WeightFileError(
            f"{path} is damaged: its sha256 is {sha256}, it should be {entries['sha256']}; {file.remedy}"
        )
    state = Contents(file, file.card(entries["state"]))
    _compare(state.part("identity"), identity, path)
    return tensors, dict(state.part("history").fields)


def _compare(before: Contents, now: Mapping[str, Any], path: Path) -> None:
    errors = {"options": ParameterError, "network": WeightFileError, "data": DatasetError}
    for part, error in errors.items():
        fields = before.part(part).fields
        for name in sorted({*fields, *now[part]}):
            old, new = fields.get(name), now[part].get(name)
            if old != new:
                raise error(
                    f"the checkpoint {path} belongs to another training: its {part} has {name} = {old!r}, but it is "
                    f"now {new!r}; delete the file to train from the beginning, or go back to its {part}"
                )


def _pair(path: Path) -> tuple[Path, Path]:
    # not with_suffix, which would make "points-0.safetensors" of "points-0.3"
    stem = path.name.removesuffix(".safetensors").removesuffix(".json")
    if not stem:
        raise WeightFileError(f"{path} names no file; pass the path of a weight file, such as my-weights")
    return path.with_name(f"{stem}.safetensors"), path.with_name(f"{stem}.json")


def _shipped_folder() -> Path:
    return Path(str(resources.files("femnn"))) / "data" / "pretrained"


def _femnn_version() -> str:
    try:
        return metadata.version("femnn")
    except metadata.PackageNotFoundError:
        return "unknown"  # a checkout that was never installed


def card_text(card: Mapping[str, Any], path: str | os.PathLike) -> str:
    """The text of a card with its hash; ParameterError if it cannot be JSON."""
    _to_json(card, path)
    return _to_json(sealed(card), path) + "\n"


def _to_json(fields: Mapping[str, Any], path: str | os.PathLike, indent: int | None = 2) -> str:
    try:
        return json.dumps(fields, indent=indent, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(
            f"the card of {path} cannot be JSON: {error}; use text, finite numbers, lists, dicts"
        ) from error


def _read_card(path: Path) -> dict[str, Any]:
    file = GuardedFile(path, WeightFileError, "card", "fetch the card again")
    card = file.json()
    format_name = card.get("format") if isinstance(card, dict) else type(card).__name__
    if format_name != FORMAT:
        raise WeightFileError(
            f"{path} is no card of femnn: its format is {format_name!r} instead of {FORMAT!r}; pass another file"
        )
    if card.get("version") != VERSION or card["version"] is True:
        raise WeightFileError(
            f"{path} has version {card.get('version')!r}, but this femnn reads version {VERSION}; "
            "install the femnn that wrote it, or train again"
        )
    missing = [field for field in (*FIELDS, "sha256") if field not in card]
    if missing:
        raise WeightFileError(f"{path} lacks the fields {', '.join(missing)}; fetch the card again")
    file.require_whole(card)
    contents = Contents(file, card)
    for name in ("kind", "what", "sha256"):
        contents.text(name)
    for name in ("architectures", "data", "training", "test"):
        contents.part(name)
    if not isinstance(card["trained_range"], str):
        contents.part("trained_range")
    return card
