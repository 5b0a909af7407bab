"""A checkpoint that was altered is passed over for the one before it, and never believed."""

import json
import random
import shutil

import pytest
import torch

from dml_teach import checkpoint, runs
from dml_teach.checkpoint import CheckpointWarning
from dml_teach.errors import CheckpointError
from dml_teach.trainer import resume
from tests.conftest import striped
from tests.resuming import assert_same

SETTING = "adam"
cases = [pytest.param(number, marks=() if number < 30 else pytest.mark.slow) for number in range(200)]


@pytest.fixture(scope="module")
def killed_run(child, tmp_path_factory):
    """The folder of a run that was killed in its eighth checkpoint, in the middle of its second epoch."""
    folder = tmp_path_factory.mktemp("altered") / "run"
    assert child(folder, SETTING, {"place": "half", "count": 8}) < 0
    assert len(checkpoint.files(folder / "checkpoints")) == 2
    return folder


@pytest.fixture
def run(killed_run, tmp_path):
    """A copy of it."""
    return shutil.copytree(killed_run, tmp_path / "run")


def flip_bit(content, chance):
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]


def flip_bit_of_header(content, chance):
    end = 8 + int.from_bytes(content[:8], "little")
    return flip_bit(content[:end], chance) + content[end:]


def replace_stretch(content, chance):
    start = chance.randrange(len(content))
    return content[:start] + chance.randbytes(len(content[start : start + 4096])) + content[start + 4096 :]


def truncate(content, chance):
    return content[: chance.randrange(len(content))]


def extend(content, chance):
    return content + chance.randbytes(chance.randint(1, 64))


def empty(content, chance):
    return b""


def swap_tensors(content, chance):
    """Give two tensors each other's names, in an otherwise well-formed file."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    one, other = chance.sample([name for name in header if name.endswith("exp_avg")], 2)
    header[one], header[other] = header[other], header[one]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[end:]


ALTERATIONS = (flip_bit, flip_bit_of_header, replace_stretch, truncate, extend, swap_tensors, empty)


def same(a, b):
    return a.facts == b.facts and a.tensors.keys() == b.tensors.keys() and all(
        torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors
    )  # fmt: skip


@pytest.mark.parametrize("number", cases)
def test_an_altered_file_gives_the_good_one_before_it_and_without_one_an_error(number, run):
    folder, chance = run / "checkpoints", random.Random(number)
    older, newest = checkpoint.files(folder)
    before, content = checkpoint.read(older), newest.read_bytes()
    altered = ALTERATIONS[number % len(ALTERATIONS)](content, chance)
    assert altered != content
    newest.write_bytes(altered)
    with pytest.warns(CheckpointWarning, match=newest.name):
        assert same(checkpoint.latest(folder), before)
    older.unlink()
    with pytest.raises(CheckpointError, match=newest.name):
        resume(run, striped(90, seed=1), striped(45, seed=2), progress=False)


@pytest.mark.parametrize("number", range(3))
def test_from_the_good_one_before_it_the_run_ends_as_if_undisturbed(number, run, undisturbed):
    newest = checkpoint.files(run / "checkpoints")[-1]
    newest.write_bytes(ALTERATIONS[number](newest.read_bytes(), random.Random(number)))
    with pytest.warns(CheckpointWarning, match=newest.name):
        resumed = resume(run, striped(90, seed=1), striped(45, seed=2), progress=False)
    assert_same(resumed, undisturbed(SETTING)[0])


def test_a_file_of_another_run_is_refused_and_the_field_named(run, child, tmp_path):
    other = tmp_path / "other"
    assert child(other, "simultaneous", {"place": "after", "count": 11}) < 0
    foreign = checkpoint.files(other / "checkpoints")[-1]
    shutil.copy(foreign, run / "checkpoints")
    with pytest.raises(CheckpointError, match=rf"{foreign.name}.*config\.recipe\.learning_rate was 0.05 and is 0.01"):
        resume(run, striped(90, seed=1), striped(45, seed=2), progress=False)


@pytest.mark.parametrize("name", ["metrics.jsonl", "posteriors.safetensors"])
def test_altered_records_are_not_carried_on(name, run):
    path = run / name
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    with pytest.raises(runs.RunError, match=name):
        resume(run, striped(90, seed=1), striped(45, seed=2), progress=False)
