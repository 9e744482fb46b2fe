"""Files that femnn writes and reads, damaged: what is read is what was written, or an error.

Kinds of files, damages and what counts as refused are those of ``tests/support/damage.py``.
"""

from benchmarks.faults.campaign import Kind, Lost, Tally
from benchmarks.faults.checkout import support


def _kind(damage, name):
    def prepare(folder):
        campaign = damage.Campaign(damage.KINDS[name], folder / "files")

        def case(draw, folder):
            seed = draw.getrandbits(32)
            try:
                refused = campaign.outcome(seed) == "refused"
            except AssertionError as error:
                (folder / campaign.path.name).write_bytes(damage.damaged(campaign.copy, seed))
                raise Lost(str(error)) from error
            return Tally(refused=int(refused), answered=int(not refused))

        return case

    return Kind(f"own file: {name}", 200, 20.0, prepare, __name__)


def kinds():
    """A kind for each kind of file, where the checkout is at hand."""
    damage = support("damage")
    return [] if damage is None else [_kind(damage, name) for name in damage.KINDS]
