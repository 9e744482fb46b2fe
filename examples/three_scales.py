"""The whole chain from grains to a sealing fault: each scale uses the law learned from the scale below.

    python examples/three_scales.py --out results/three-scales

A recurrent law learns the responses of layers of grains; it goes into the cracks of a cell of blocks, which is driven
along drawn paths; a second law learns the cell and goes into a fault beside which water is injected, and a small case
is computed with the cell itself at every integration point, too. A quarter of an hour on two cores; what is finished is
kept, and the same command goes on from there. With LAMMPS installed some layers are sheared as well.
"""

import argparse
from pathlib import Path

import grains_to_law
import rve_to_law
import sealing_fault


def main(out, grains=None, cell=None, fault=None, progress=True):
    """Figures of the three scales by name; ``grains``, ``cell`` and ``fault`` are settings of their examples."""
    out = Path(out)
    micro, macro = out / "cohesive-grains.safetensors", out / "cohesive-rve.safetensors"
    settings = {"out": out, "progress": progress}
    print("grains")
    learned = grains_to_law.main(train=True, **settings, **(grains or {}))
    print("cell")
    homogenised = rve_to_law.main(str(micro), **settings, **(cell or {}))
    print("fault")
    figures, compared = sealing_fault.main(
        **{"laws": ("recurrent",), "recurrent": str(macro), "cracks": str(micro), **settings, **(fault or {})}
    )
    return {"grains": learned["errors"], "cell": homogenised, "fault": figures["recurrent"], "compared": compared}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/three-scales"), help="folder [results/three-scales]")
    main(parser.parse_args().out)
