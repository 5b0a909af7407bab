"""How exactly an interrupted epoch of batches goes on."""

import pytest
import torch

from dml_teach.errors import CheckpointError
from tests.data.conftest import batches, image_set, same


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize("position", range(5))
def test_a_loaded_state_goes_on_at_exactly_the_next_batch(position, augment):
    served = batches(image_set(14), augment=augment)
    list(served)  # the second epoch is interrupted
    loop = iter(served)
    for _ in range(position):
        next(loop)
    state = served.state()
    rest = list(loop)
    resumed = batches(image_set(14), augment=augment, order=8, augmentation=9)
    resumed.load_state(state)
    assert len(rest) == 4 - position
    assert same(list(resumed), rest)


@pytest.mark.parametrize("position", range(5))
def test_the_epochs_after_a_loaded_state_are_the_same_too(position):
    served = batches(image_set(14))
    loop = iter(served)
    for _ in range(position):
        next(loop)
    resumed = batches(image_set(14), order=8, augmentation=9)
    resumed.load_state(served.state())
    list(loop), list(resumed)
    assert same(list(served), list(resumed))


def test_a_state_taken_in_the_body_of_the_loop_counts_its_batch():
    served = batches(image_set(14))
    assert [served.state()["position"] for _ in served] == [1, 2, 3, 4]


def test_after_an_epoch_the_position_is_zero():
    served = batches(image_set(14))
    list(served)
    assert served.state()["position"] == 0


def test_a_state_survives_what_happens_after_it_was_taken():
    served = batches(image_set(14))
    state = served.state()
    first = list(served)
    list(served)
    served.load_state(state)
    assert same(list(served), first)


def test_taking_a_state_changes_nothing():
    watched, left_alone = batches(image_set(14)), batches(image_set(14))
    taken = []
    for batch in watched:
        watched.state()
        taken.append(batch)
    assert same(taken, list(left_alone))


def test_a_loop_left_early_goes_on_at_the_next_batch():
    interrupted, whole_epoch = batches(image_set(14)), list(batches(image_set(14)))
    first = next(iter(interrupted))
    assert same([first, *interrupted], whole_epoch)


def test_a_loop_from_before_a_loaded_state_serves_no_more():
    served = batches(image_set(14))
    loop = iter(served)
    next(loop)
    served.load_state(served.state())
    assert list(loop) == []
    assert len(list(served)) == 3


def test_a_loop_from_before_the_end_of_the_epoch_serves_no_more():
    served = batches(image_set(14))
    loop = iter(served)
    next(loop)
    assert len(list(served)) == 3
    assert list(loop) == []


@pytest.mark.parametrize("position", [-1, 5])
def test_a_position_beyond_the_epoch_is_refused(position):
    served = batches(image_set(14))
    with pytest.raises(CheckpointError, match=f"^position: batch {position} of 4; "):
        served.load_state({**served.state(), "position": position})


@pytest.mark.parametrize("name", ["order", "augmentation"])
@pytest.mark.parametrize("damaged", [torch.zeros(7, dtype=torch.uint8), torch.zeros(5056), None])
def test_a_damaged_generator_state_is_refused(name, damaged):
    served = batches(image_set(14))
    with pytest.raises(CheckpointError, match=f"^{name}: not the state of a CPU generator; "):
        served.load_state({**served.state(), name: damaged})
