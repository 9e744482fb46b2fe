"""Where the project lies."""

from pathlib import Path

#: The checkout that holds the package, its meshes, examples, benchmarks and pages.
ROOT = Path(__file__).resolve().parents[2]
