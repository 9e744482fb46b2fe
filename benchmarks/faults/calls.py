"""Calls of public names with arguments of all kinds, drawn by ``tests/support/fuzzing.py`` of the checkout."""

from benchmarks.faults.campaign import Kind, Tally
from benchmarks.faults.checkout import support

_CALLS = 20
# outcomes that are no errors of femnn; failures are told apart
_OTHERS = ("answer", "slow", "nothing to call", "foreign exception", "silent conversion")


def _prepare(folder):
    fuzzing = support("fuzzing")

    def case(draw, folder):
        counts, failures = fuzzing.fuzz(_CALLS, draw.getrandbits(32))
        refused = sum(count for outcome, count in counts.items() if outcome not in _OTHERS)
        return Tally(answered=counts["answer"], refused=refused, stopped=counts["slow"], lost=failures)

    return case


def kinds():
    """The kind, where the checkout is at hand."""
    return [] if support("fuzzing") is None else [Kind("calls", 50_000 // _CALLS, 300.0, _prepare, __name__)]
