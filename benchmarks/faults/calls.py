"""Calls of public names with arguments of all kinds, drawn by ``tests/support/fuzzing.py`` of the checkout."""

from benchmarks.faults.campaign import Kind, Tally
from benchmarks.faults.checkout import support

_CALLS = 20
# cases to which the arguments of all public names are dealt
_PARTS = 500
# outcomes that are no errors of femnn; failures are told apart
_OTHERS = ("answer", "slow", "nothing to call", "foreign exception", "silent conversion")


def _prepare(folder):
    fuzzing = support("fuzzing")
    return lambda draw, folder: _tally(*fuzzing.fuzz(_CALLS, draw.getrandbits(32)))


def _prepare_in_turn(folder):
    fuzzing = support("fuzzing")
    # the folder of a case bears its number; nothing is drawn
    return lambda draw, folder: _tally(*fuzzing.in_turn(int(folder.name), _PARTS))


def _tally(counts, failures):
    refused = sum(count for outcome, count in counts.items() if outcome not in _OTHERS)
    return Tally(answered=counts["answer"], refused=refused, stopped=counts["slow"], lost=failures)


def kinds():
    """The kinds, where the checkout is at hand."""
    if support("fuzzing") is None:
        return []
    return [
        Kind("calls", 50_000 // _CALLS, 300.0, _prepare, __name__),
        Kind("calls: each argument in turn", _PARTS, 300.0, _prepare_in_turn, __name__),
    ]
