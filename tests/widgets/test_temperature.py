"""The temperature explorer: its numbers are those of the losses, and what can not be shown is said."""

import base64
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import losses, metrics
from dml_teach.widgets import TemperatureExplorer
from dml_teach.widgets.temperature import COLDEST, HOTTEST
from tests.widgets.pages import ask

PROGRAM = """
const [p, q] = data.logits.map((text) => widget.decode(bytes(text), "f8"));
return widget.atTemperature(p, q, data.temperature);
"""
vectors = st.integers(2, 8).flatmap(
    lambda classes: st.tuples(*[st.lists(st.floats(-30, 30), min_size=classes, max_size=classes) for _ in range(2)])
)


def shown(explorer: TemperatureExplorer) -> dict:
    parts = [part for part in (explorer.logits, explorer.reference_logits) if part]
    logits = [base64.b64encode(part).decode() for part in parts]
    return ask(TemperatureExplorer, PROGRAM, {"logits": logits, "temperature": explorer.temperature})


@settings(max_examples=12, deadline=None)
@given(vectors, st.floats(COLDEST, HOTTEST))
def test_all_that_it_shows_is_what_the_losses_say(two, temperature):
    own, reference = (torch.tensor([values], dtype=torch.float64) for values in two)
    found = shown(TemperatureExplorer(own[0], reference[0], temperature=temperature))
    p, q = (losses.log_posterior(z, temperature).exp()[0] for z in (own, reference))
    z = (own / temperature).requires_grad_()
    losses.kl_divergence(reference / temperature, z).sum().backward()
    expected = {
        "p": p, "q": q, "gradient": z.grad[0],
        "entropy": metrics.entropy(own / temperature), "referenceEntropy": metrics.entropy(reference / temperature),
        "forward": losses.kl_divergence(reference, own, temperature)[0],
        "backward": losses.kl_divergence(own, reference, temperature)[0],
        "length": (p - q).norm(),
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(torch.tensor(found[name]).double(), value.detach(), rtol=1e-6, atol=1e-6, msg=name)


def test_alone_a_posterior_has_an_entropy_and_no_divergence():
    assert shown(TemperatureExplorer([1.0, 2.0])).keys() == {"p", "entropy"}


def test_the_slider_reaches_both_ends_and_one_in_the_middle_and_never_stands_still():
    places = "return Array.from({ length: 65 }, (_, place) => widget.temperatureAt(place, data))"
    found = ask(TemperatureExplorer, places, [COLDEST, HOTTEST])
    assert (found[0], found[32], found[64]) == (COLDEST, 1, HOTTEST)
    assert all(a < b for a, b in itertools.pairwise(found))
    assert found[40] == 2 and math.isclose(found[33], 2**0.125, rel_tol=0.005)


def test_logits_are_stored_exactly():
    explorer = TemperatureExplorer(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), class_names=["a", "b", "c"])
    assert np.frombuffer(explorer.logits, "<f8").tolist() == [0.1, 0.2, 0.3]
    assert repr(explorer) == "TemperatureExplorer: 3 classes, p."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([[1.0, 2.0]],), "logits must be (C,) finite numbers"),
        (([1.0, math.nan],), "logits must be (C,) finite numbers"),
        ((["a", "b"],), "logits are no numbers"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "logits have 2 classes, reference_logits 3"),
        (([1.0, 2.0], None, ["a"]), "1 class names for 2 logits"),
    ],
)
def test_what_can_not_be_shown_gives_a_message(arguments, said):
    explorer = TemperatureExplorer(*arguments)
    assert said in explorer.message and repr(explorer).startswith("TemperatureExplorer: nothing to show. ")
