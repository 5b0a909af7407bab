"""Independent streams from one seed."""

import torch

from dml_teach.seeds import generator


def draws(*arguments):
    return torch.randint(2**40, (4,), generator=generator(*arguments)).tolist()


def test_the_same_purpose_draws_the_same():
    assert draws(3, "order") == draws(3, "order")


def test_seed_purpose_and_index_each_give_another_stream():
    streams = [draws(3, "order"), draws(4, "order"), draws(3, "weights"), draws(3, "weights", 1)]
    assert len({tuple(stream) for stream in streams}) == 4


def test_a_seed_means_the_same_numbers_for_ever():
    """Recordings name their seeds; a change of the derivation would orphan them."""
    assert draws(0, "order") == [1055812523464, 935222249094, 183984784908, 706414734137]
