"""``femnn doctor``: whether this installation is complete, and what it runs on."""

import json
import tempfile
from typing import Any

import click
from tqdm import tqdm

from femnn.cli import BAD_NEWS
from femnn.cli.self_test import self_test
from femnn.exceptions import FemnnError
from femnn.io.locations import data_folder
from femnn.io.weight_files import load_weights, shipped_weights
from femnn.system.compile import kernel_cache
from femnn.system.hardware import count_cores, processor
from femnn.system.installation import extras, threads, versions


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.option("--warm", is_flag=True, help="Compile the kernels of the usual ways first, which takes a minute or two.")
@click.option("--quick", is_flag=True, help="Leave out the self-test.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, warm: bool, quick: bool) -> None:
    """Check that this installation is complete, and print what bug reports need.

    Compiles a small kernel, reads the shipped weights, asks for the packages of the extras, and solves small problems
    with known answers, which takes some seconds once their kernels are compiled. Exit code 1 tells that there are
    faults.
    """
    if warm:
        from femnn.cli.warm import steps

        progress = tqdm(steps().items(), disable=None)
        for name, step in progress:
            progress.set_description(name)
            step()
    document = examine()
    if not quick:
        document["self_test"], found = self_test()
        document["faults"] += found
    click.echo(json.dumps(document, indent=2) if as_json else _report(document))
    if document["faults"]:
        ctx.exit(BAD_NEWS)


def examine() -> dict[str, Any]:
    """All findings as plain numbers and text; ``faults`` says in sentences what is wrong."""
    installed, cache, faults = versions(), kernel_cache(), _damage()
    faults += [
        f"the package {name} is missing; pip install {name}" for name, version in installed.items() if not version
    ]
    if cache is None:
        faults.append("compiled kernels cannot be kept; set NUMBA_CACHE_DIR to a folder that can be written")
    return {
        "versions": installed,
        "processor": processor(),
        "cores": count_cores(),
        "threads": threads(),
        "kernel_cache": None if cache is None else str(cache),
        "temporary_files": tempfile.gettempdir(),
        "weights": list(shipped_weights()),
        "extras": {name: {"complete": all(known.values()), "packages": known} for name, known in extras().items()},
        "faults": faults,
    }


def _damage() -> list[str]:
    """Shipped files that are missing or damaged, in sentences."""
    faults = []
    for check, names in ((load_weights, shipped_weights()), (data_folder, ("meshes", "benchmarks", "examples"))):
        for name in names:
            try:
                check(name)
            except FemnnError as error:
                faults.append(str(error))
    return faults


def _report(document: dict[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version or 'missing'}" for name, version in document["versions"].items())
    lines = {
        "versions": libraries,
        "processor": f"{document['processor']}, {document['cores']} cores",
        "threads": str(document["threads"]["count"]),
        "compiled kernels": document["kernel_cache"] or "not kept",
        "temporary files": document["temporary_files"],
        "shipped weights": ", ".join(document["weights"]),
    }
    for name, extra in document["extras"].items():
        missing = [package for package, version in extra["packages"].items() if version is None]
        lines[f"extra {name}"] = "installed" if not missing else f"lacks {', '.join(missing)}"
    for name, seconds in document.get("self_test", {}).items():
        failed = any(fault.startswith(f"self-test, {name}:") for fault in document["faults"])
        lines[f"self-test, {name}"] = "failed" if failed else f"passed in {seconds:.1f} s"
    width = max(map(len, lines))
    faults = document["faults"] or ["no faults found"]
    return "\n".join([*(f"{name:<{width}}  {text}" for name, text in lines.items()), "", *faults])
