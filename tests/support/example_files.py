"""The examples as modules: they are scripts, not part of the package."""

import importlib.util
from functools import cache

from support.locations import ROOT

EXAMPLES = ROOT / "examples"


@cache
def example(name):
    """The module of ``examples/NAME.py``."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
