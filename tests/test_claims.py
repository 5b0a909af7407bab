"""What the README, chapters and the page of findings say of our recordings in words holds of the numbers recorded.

Digits are read by code where they are shown; "about two points" and "no more than chance" are written. `claims.toml`
has such words with what they mean. A recording that grows or is made anew, and no longer says so, fails here.
"""

import copy
import importlib
import json
import math
import re
import statistics
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from dml_teach import comparison

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
CLAIMS = tomllib.loads((ROOT / "tests" / "claims.toml").read_text())["claim"]
NUMBER = r"-?[\d.]+"
LINE = re.compile(
    r"(?P<effect>.+?, [\w.]+(?: of peer \d)?) (?P<relation>is (?:higher|lower|unclear|0)|has (?:one sign|two signs)"
    rf"|(?P<of>from|within|finds) (?P<least>{NUMBER}) to (?P<most>{NUMBER})(?: of (?P<whole>.+))?)"
)
UNLIKE = ("name", "peers", "topology", "changes", "teachers", "curves")  # of an arm: no numbers of its seeds


class Found(NamedTuple):
    """A difference in its unit, points or nats."""

    difference: float
    half_width: float
    each: list[float]

    @property
    def detectable(self) -> float:
        """The true difference that such a comparison finds four times out of five; NaN of a single seed."""
        seeds = len(self.each)
        return comparison.detectable(statistics.stdev(self.each), seeds) if seeds > 1 else math.nan


@pytest.fixture(scope="module")
def quotes():
    """book/site/quotes.py as a module: book/site is a folder of scripts, not a package."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("book/site", "tools"):
            patch.syspath_prepend(ROOT / folder)
        return importlib.import_module("quotes")


@pytest.fixture(scope="module")
def recorded():
    """The book's recordings by file name. A student's gap in NLL, new less studied images, is a metric of its own."""
    found = {path.name: json.loads(path.read_text()) for path in (BOOK / "recordings").glob("*.json")}
    for arm in found["why.json"]["arms"]:
        both = zip(arm["nll"], arm["train_nll"], strict=True)
        arm["gap"] = [[new - studied for new, studied in zip(*seed, strict=True)] for seed in both]
    return found


def difference(quotes, recorded, text):
    """The difference that a text names."""
    _, change, (_, factor, _), each = quotes.change(recorded, text)
    return Found(factor * change.difference, factor * change.half_width, [factor * value for value in each])


def holds(quotes, recorded, line):
    """Whether a line of a claim is true of the recordings."""
    parts = LINE.fullmatch(line)
    assert parts, f"'{line}' is no line of a claim"
    found = difference(quotes, recorded, parts["effect"])
    signs = {value > 0 for value in found.each}
    if parts["of"]:
        value = {"from": found.difference, "within": found.half_width, "finds": found.detectable}[parts["of"]]
        whole = difference(quotes, recorded, parts["whole"]).difference if parts["whole"] else 1.0
        return (
            float(parts["least"]) * abs(whole) <= value * (1 if whole > 0 else -1) <= float(parts["most"]) * abs(whole)
        )
    return {
        "is higher": found.difference > found.half_width,
        "is lower": found.difference < -found.half_width,
        "is unclear": abs(found.difference) <= found.half_width,
        "is 0": not any(found.each),
        "has one sign": len(signs) == 1,
        "has two signs": len(signs) == 2,
    }[parts["relation"]]


def on_one_line(text):
    """Without line breaks, and of a chapter without the signs of a comment."""
    return " ".join(re.sub(r"^# ?", "", text, flags=re.MULTILINE).split())


def name_of(claim):
    return f"{claim['page']}: {claim['words'][:40]}"


@pytest.mark.parametrize("claim", CLAIMS, ids=name_of)
def test_the_words_stand_on_the_page_and_hold_of_the_recordings(claim, quotes, recorded):
    page = on_one_line((BOOK / claim["page"]).read_text())
    assert on_one_line(claim["words"]) in page, "the page says something else now: look at what it means"
    for line in claim["holds"].strip().splitlines():
        assert holds(quotes, recorded, line), f"{line}: {difference(quotes, recorded, LINE.fullmatch(line)['effect'])}"


@pytest.mark.parametrize("claim", CLAIMS, ids=name_of)
def test_other_recordings_would_refute_each_line(claim, quotes, recorded):
    """Every line fails in some world: where all methods do alike, or where each does better than the one before it, by
    one or by less and less, or worse, or better in every other seed."""

    def world(value):
        """The recordings with a number for each method and seed in place of all that they hold."""
        other = copy.deepcopy(recorded)
        lists = [other["demo.json"]["settings"], *(found["arms"] for found in other.values() if "arms" in found)]
        for n, arm in ((n, arm) for arms in lists for n, arm in enumerate(arms)):
            for metric, seeds in arm.items():
                if metric not in UNLIKE and isinstance(seeds, list):
                    arm[metric] = [filled(each, value(n, seed)) for seed, each in enumerate(seeds)]
        return other

    def filled(each, value):
        return [value] * len(each) if isinstance(each, list) else value

    values = (
        lambda n, seed: 0.0,
        lambda n, seed: n,
        lambda n, seed: -n,
        lambda n, seed: -(3.0**-n),
        lambda n, seed: n if seed % 2 else -n,
    )
    worlds = [world(value) for value in values]
    for line in claim["holds"].strip().splitlines():
        assert not all(holds(quotes, other, line) for other in worlds), line
