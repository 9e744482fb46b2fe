"""Kinds of faults whose cases do what none should: processes that the campaign starts import them from here."""

import os
import signal
import time

from benchmarks.faults.campaign import Kind, Lost, Tally, judged
from femnn.exceptions import MeshError


def misbehaves(draw, folder):
    """The number of the case is the name of its folder."""
    number = int(folder.name)
    (folder / "input.txt").write_text(f"input {number}")
    if number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 3:
        time.sleep(600)
    if number == 4:
        raise KeyError("foreign")
    if number == 5:
        raise Lost("other bits")
    if number == 6:
        return Tally(answered=2, refused=3)
    return judged(lambda: refuse(number))


def refuse(number):
    """An error of femnn, of several lines for one number."""
    raise MeshError("two\nlines" if number == 7 else "one line")


def kinds():
    """One kind."""
    return [Kind("faulty", 9, 2.0, lambda folder: misbehaves, "support.faulty_kinds")]
