"""A small share of the fuzzed calls; the campaign makes more of them."""

from support.fuzzing import fuzz


def test_fuzzed_calls_end_in_an_answer_or_an_error_of_femnn():
    counts, failures = fuzz(300, seed=0)
    assert not failures, "\n".join(failures)
    assert sum(counts.values()) == 300
    # valid calls are among them
    assert counts["answer"] > 30
