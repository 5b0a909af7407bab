"""One of four ranks is killed with SIGKILL; torchrun's agent starts them anew, and the run ends as if none had been."""

import contextlib
import os
import random
import signal

import pytest

from dml_teach.runs import load
from tests.rank_work import run_agent
from tests.resuming import assert_same
from tests.several import CONTEXT, SECONDS

pytestmark = pytest.mark.distributed


def trained(folder, victim=-1, seconds=0.0):
    """A run of four ranks under the agent, which has ended well when this returns."""
    if CONTEXT is None:
        pytest.skip("ranks are forked, which Windows can not")
    agent = CONTEXT.Process(target=run_agent, args=(str(folder), victim, seconds))
    agent.start()
    try:
        agent.join(SECONDS)
        assert agent.exitcode == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(agent.pid, signal.SIGKILL)
        agent.join()
    return load(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("undisturbed") / "run")


CASES = [pytest.param(n, marks=pytest.mark.slow) if n >= 3 else n for n in range(23)]


@pytest.mark.parametrize("number", CASES)
def test_four_ranks_of_which_one_is_killed_end_as_if_it_had_not_been(number, undisturbed, tmp_path):
    chance = random.Random(number)
    run = trained(tmp_path / "run", victim=number % 4, seconds=chance.uniform(0, 0.8))
    assert (tmp_path / "run.hit").exists()
    assert_same(run, undisturbed)
