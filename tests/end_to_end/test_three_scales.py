"""The example of the whole chain with small settings: every scale is served by the law of the one below."""

import pytest
from support.example_files import EXAMPLES, example

import femnn


def test_the_chain_goes_from_grains_to_a_fault(tmp_path, monkeypatch):
    # the scales are scripts beside it
    monkeypatch.syspath_prepend(EXAMPLES)
    figures = example("three_scales").main(
        tmp_path,
        grains={"count": 200, "points": 6, "epochs": 15},
        cell={"paths": 18, "unseen": 3, "points": 24, "epochs": 30, "workers": 0},
        fault={"cells": (8, 10), "steps": 8, "small": None},
        progress=False,
    )
    assert figures["grains"]["unseen"]["ratio"] < 0.1
    assert figures["cell"]["traction"] < 0.3
    assert figures["fault"]["mass balance"] < 1e-10
    assert 0.5 < figures["fault"]["slip, mm"] < 10.0
    files = [tmp_path / f"cohesive-{name}.safetensors" for name in ("grains", "rve")]
    micro, macro = map(femnn.RecurrentCohesive.load, files)
    assert macro.card["data"]["law"] == micro.name
    for picture in ("grains-law.png", "rve-to-law.png", "sealing-fault.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
    # the fault refuses a cell that is not the one its law has learned
    with pytest.raises(femnn.ParameterError, match="learned a cell"):
        example("sealing_fault").law_of("rve", "rve", files[0])
