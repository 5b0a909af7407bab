"""A run whose process is killed outright, anywhere, ends as if nobody had disturbed it."""

import random
import shutil
import signal

import pytest

from dml_teach import runs
from tests.faults.child import SETTINGS
from tests.resuming import assert_same

PLACES = ("before", "half", "after")
CHECKPOINTS = 13  # of a run: at its start, after each of 9 steps, after each of 3 epochs

many = pytest.mark.slow


def cases(count, few):
    """Numbers 0 ... count - 1; all but the first few are slow."""
    return [pytest.param(number, marks=() if number < few else many) for number in range(count)]


def drawn(number):
    """A setting, and the chance of this case."""
    return sorted(SETTINGS)[number % len(SETTINGS)], random.Random(number)


@pytest.mark.parametrize("number", cases(60, few=5))
def test_killed_at_a_random_moment(number, child, undisturbed, tmp_path):
    setting, chance = drawn(number)
    whole, seconds = undisturbed(setting)
    folder, kills = tmp_path / "run", 0
    while kills < 1 + number % 3:
        if child(folder, setting, {"after": chance.uniform(0, seconds)}) == -signal.SIGKILL:
            kills += 1
        else:  # it was sooner done: once more
            shutil.rmtree(folder)
            seconds /= 2
    assert child(folder, setting) == 0
    assert_same(runs.load(folder), whole)


@pytest.mark.parametrize("number", cases(45, few=6))
def test_killed_in_the_middle_of_a_checkpoint(number, child, killed, undisturbed, tmp_path):
    setting, chance = drawn(number // 3)
    folder = tmp_path / "run"
    killed(folder, setting, {"place": PLACES[number % 3], "count": chance.randint(1, CHECKPOINTS)})
    if number % 2:  # and once more, at the first checkpoint after going on
        killed(folder, setting, {"place": chance.choice(PLACES), "count": 1})
    assert child(folder, setting) == 0
    assert_same(runs.load(folder), undisturbed(setting)[0])
