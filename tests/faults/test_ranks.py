"""One of four ranks is killed with SIGKILL; torchrun's agent starts them anew, and the run ends as if none had been."""

import contextlib
import os
import random
import signal

import pytest

from dml_teach.runs import load
from tests.rank_work import be_agent
from tests.resuming import assert_same
from tests.several import CONTEXT, SECONDS

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def trained():
    """trained(folder, victim, seconds): a run of four ranks under the agent, which has ended well."""
    if CONTEXT is None:
        pytest.skip("ranks are forked, which Windows can not")
    here, there = CONTEXT.Pipe()
    agent = CONTEXT.Process(target=be_agent, args=(there,))
    agent.start()

    def train(folder, victim=-1, seconds=0.0):
        here.send((str(folder), victim, seconds))
        assert here.poll(SECONDS), "the run has not ended"
        assert here.recv() == ""
        return load(folder)

    try:
        yield train
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(agent.pid, signal.SIGKILL)
        agent.join()


@pytest.fixture(scope="module")
def undisturbed(trained, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("undisturbed") / "run")


CASES = [pytest.param(n, marks=pytest.mark.slow) if n >= 3 else n for n in range(23)]


@pytest.mark.parametrize("number", CASES)
def test_four_ranks_of_which_one_is_killed_end_as_if_it_had_not_been(number, trained, undisturbed, tmp_path):
    chance = random.Random(number)
    run = trained(tmp_path / "run", victim=number % 4, seconds=chance.uniform(0, 0.8))
    assert (tmp_path / "run.hit").exists()
    assert_same(run, undisturbed)
