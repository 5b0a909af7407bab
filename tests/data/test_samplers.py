"""Batches of P identities with K images each, against what such batches are."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach.data.samplers import IdentitySampler
from dml_teach.errors import CheckpointError, ConfigError, DataError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sampler(sizes, identities, images, seed=0):
    """For identities 0, 1, ... with so many images, the images of all mixed up."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=seeded(99))]
    return labels, IdentitySampler(labels, identities=identities, images=images, generator=seeded(seed))


@st.composite
def cases(draw):
    """Numbers of images of each identity, P and K."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    return sizes, draw(st.integers(1, len(sizes))), draw(st.integers(1, 5))


def by_definition(sizes, identities, images):
    """The least number of batches in which all hands of K have a place, no identity twice in one."""
    hands = [math.ceil(size / images) for size in sizes]
    batches = 0
    while any(hands):
        batches += 1
        for who in sorted(range(len(hands)), key=lambda i: -hands[i])[:identities]:
            hands[who] = max(0, hands[who] - 1)
    return batches


@given(cases(), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_each_batch_has_p_identities_with_k_images_of_each(case, seed):
    sizes, identities, images = case
    labels, batches = sampler(sizes, identities, images, seed)
    for indices in batches:
        hands = labels[indices].view(identities, images)
        assert (hands == hands[:, :1]).all()
        assert len(hands[:, 0].unique()) == identities


@given(cases(), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_an_epoch_shows_every_image(case, seed):
    sizes, identities, images = case
    labels, batches = sampler(sizes, identities, images, seed)
    assert set(torch.cat(list(batches)).tolist()) == set(range(len(labels)))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_the_length_is_exact_and_the_least_possible(case):
    _, batches = sampler(*case)
    assert len(list(batches)) == len(batches) == by_definition(*case)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_an_image_repeats_in_a_hand_only_when_there_are_fewer_than_k(case):
    sizes, identities, images = case
    labels, batches = sampler(sizes, identities, images)
    for hand in torch.cat([indices.view(identities, images) for indices in batches]).tolist():
        size = sizes[labels[hand[0]]]
        assert len(set(hand)) == min(size, images)
        counts = Counter(hand).values()
        assert max(counts) - min(counts) <= 1


def test_an_identity_with_one_image_shows_it_k_times():
    labels, batches = sampler([1, 4], 2, 4)
    (indices,) = batches
    assert len(indices[labels[indices] == 0].unique()) == 1


def test_a_seed_fixes_the_epochs():
    first, second = (sampler([5, 3, 8, 2], 2, 3, seed=4)[1] for _ in range(2))
    for _ in range(3):
        assert torch.stack(list(first)).equal(torch.stack(list(second)))


def test_epochs_differ():
    _, batches = sampler([5, 3, 8, 2], 2, 3)
    assert not torch.stack(list(batches)).equal(torch.stack(list(batches)))


def test_hands_of_an_identity_differ_from_epoch_to_epoch():
    _, batches = sampler([12], 1, 3)
    hands = [{tuple(sorted(indices.tolist())) for indices in batches} for _ in range(2)]
    assert hands[0] != hands[1]


@pytest.mark.parametrize("served", [0, 1, 2, 5, 6])
def test_a_state_goes_on_with_the_next_batch(served):
    _, whole = sampler([5, 3, 8, 2], 2, 3)
    wanted = [*whole, *whole]
    _, first = sampler([5, 3, 8, 2], 2, 3)
    loop = iter(first)
    begun = [next(loop) for _ in range(min(served, len(first)))]
    _, second = sampler([5, 3, 8, 2], 2, 3, seed=77)
    second.load_state(first.state())
    rest = [*second, *second]
    assert torch.stack([*begun, *rest])[: len(wanted)].equal(torch.stack(wanted))


def test_a_loop_left_early_goes_on_where_it_was():
    _, whole = sampler([5, 3, 8, 2], 2, 3)
    wanted = list(whole)
    _, batches = sampler([5, 3, 8, 2], 2, 3)
    first = next(iter(batches))
    assert torch.stack([first, *batches]).equal(torch.stack(wanted))


def test_a_position_beyond_the_epoch_is_refused():
    _, batches = sampler([2, 2], 2, 2)
    with pytest.raises(CheckpointError, match="position: batch 2 of 1"):
        batches.load_state({**batches.state(), "position": 2})


def test_a_state_that_is_none_is_refused():
    _, batches = sampler([2, 2], 2, 2)
    with pytest.raises(CheckpointError, match="generator: "):
        batches.load_state({"generator": torch.zeros(3), "position": 0})


@pytest.mark.parametrize("identities", [0, 3])
def test_a_number_of_identities_that_there_are_not_is_refused(identities):
    with pytest.raises(ConfigError, match=f"identities: {identities} of the 2"):
        sampler([2, 2], identities, 2)


def test_no_images_of_each_is_refused():
    with pytest.raises(ConfigError, match="images: 0"):
        sampler([2, 2], 2, 0)


@pytest.mark.parametrize("labels", [torch.tensor([0, -1]), torch.tensor([0.0]), torch.tensor([], dtype=torch.int64)])
def test_labels_that_name_nobody_are_refused(labels):
    with pytest.raises(DataError, match="labels: "):
        IdentitySampler(labels, identities=1, images=1, generator=seeded())
