"""A small share of the fuzzed calls, and one foreign object in each place for an object of femnn; the campaign makes
more of them."""

import inspect
import typing
import warnings

from scipy.sparse import csr_array
from support.fuzzing import _make, callables, fuzz, in_turn, least_arguments

from femnn.exceptions import FemnnError

# Classes that keep what they are given, and are checked where they are used.
_RECORDS = ("__dataclass_fields__", "_fields")


def test_fuzzed_calls_end_in_an_answer_or_an_error_of_femnn():
    counts, failures = fuzz(300, seed=0)
    assert not failures, "\n".join(failures)
    assert sum(counts.values()) == 300
    # valid calls are among them
    assert counts["answer"] > 30


def test_strange_values_in_the_place_of_each_argument_in_turn_are_refused():
    counts, failures = in_turn(7, 400)
    assert not failures, "\n".join(failures)
    assert sum(counts.values()) > 200


def takes_ours():
    """Callables by name, each with the parameters that take objects of femnn alone."""
    found = {}
    for name, make in callables().items():
        function = make()
        if inspect.isclass(function) and any(hasattr(function, mark) for mark in _RECORDS):
            continue
        checked = function.__init__ if inspect.isclass(function) else function
        try:
            hints = typing.get_type_hints(inspect.unwrap(getattr(checked, "__func__", checked)))
        except NameError:
            continue
        ours = [key for key in inspect.signature(function).parameters if _is_ours(hints.get(key))]
        if ours:
            found[name] = (function, ours)
    return found


def _is_ours(hint):
    protocol = getattr(hint, "_is_protocol", False)
    return inspect.isclass(hint) and hint.__module__.startswith("femnn") and not protocol


def test_what_takes_an_object_of_femnn_refuses_others():
    cases = takes_ours()
    assert len(cases) > 50
    silent = []
    for name, (function, ours) in cases.items():
        for foreign in ours:
            arguments = least_arguments(name, function) | {foreign: csr_array((3, 3))}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _make(function, arguments)
            except FemnnError:
                continue
            except Exception as error:
                silent.append(f"{name}({foreign}=csr_array) raises {type(error).__name__}: {error}")
            else:
                silent.append(f"{name}({foreign}=csr_array) answers")
    assert not silent, "\n".join(silent)
