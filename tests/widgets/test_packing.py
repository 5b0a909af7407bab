"""How much of a run a widget carries: everything where it fits, and a fair choice where it does not."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dml_teach.errors import RunError
from dml_teach.widgets import packing

sizes = st.tuples(st.integers(1, 200), st.integers(1, 8), st.integers(1, 400), st.integers(2, 100))


def taken(shape, kept) -> int:
    return len(kept.epochs[0]) * shape[1] * len(kept.images) * shape[3] * (2 if kept.half else 4)


def test_four_peers_ten_classes_200_images_and_60_epochs_fit_as_they_are():
    shape = (60, 4, 200, 10)
    kept = packing.thin([shape])
    assert not kept.half and kept.epochs == [list(range(60))] and kept.images == list(range(200))
    assert taken(shape, kept) == 1_920_000


def test_what_is_too_large_goes_to_half_precision_before_anything_is_left_out():
    kept = packing.thin([(100, 4, 200, 10)])
    assert kept.half and len(kept.epochs[0]) == 100 and len(kept.images) == 200


def test_epochs_are_thinned_before_images():
    kept = packing.thin([(200, 4, 200, 10)])
    assert kept.half and kept.epochs == [[0, *range(1, 200, 2)]] and len(kept.images) == 200


def test_images_are_thinned_when_few_epochs_are_left():
    kept = packing.thin([(200, 4, 200, 100)])
    assert packing.LEAST_EPOCHS <= len(kept.epochs[0]) < 2 * packing.LEAST_EPOCHS
    assert len(kept.images) < 200 and kept.images == sorted(set(kept.images))


def test_the_first_epoch_and_the_last_are_always_kept():
    for length in range(1, 40):
        for step in range(1, 40):
            found = packing.every(length, step)
            assert found[0] == 0 and found[-1] == length - 1


@given(sizes, st.integers(10_000, 3_000_000))
def test_what_is_kept_never_exceeds_the_limit_and_is_nearly_all_that_fits(shape, limit):
    if shape[1] * shape[3] * 2 * packing.LEAST_EPOCHS * 2 > limit:
        return
    kept = packing.thin([shape], limit)
    assert taken(shape, kept) <= limit
    assert kept.epochs[0][0] == 0 and kept.epochs[0][-1] == shape[0] - 1


def test_two_runs_share_the_limit():
    shapes = [(60, 4, 200, 10), (60, 4, 200, 10)]
    kept = packing.thin(shapes)
    assert sum(taken(shape, kept) for shape in shapes) <= packing.LIMIT and kept.half


def test_posteriors_of_which_not_one_image_fits_are_refused():
    with pytest.raises(RunError, match="the posteriors of one image take"):
        packing.thin([(1, 8, 3, 1000)], limit=100)


def test_half_precision_holds_no_zero():
    packed = np.frombuffer(packing.pack(torch.tensor([[[[1.0, 1e-30, 0.3]]]]), half=True), "<f2")
    assert packed[1] == packing.SMALLEST and packed[0] == 1 and packed[2] == np.float16(0.3)


def test_full_precision_is_what_the_run_holds():
    posteriors = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert packing.pack(posteriors, half=False) == posteriors.numpy().tobytes()


def test_small_pictures_are_stored_as_they_are():
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).to(torch.uint8)
    stored, size = packing.pixels(images)
    assert size == [4, 5, 3] and stored == images.permute(0, 2, 3, 1).contiguous().numpy().tobytes()


def test_large_pictures_are_averaged_over_squares():
    images = torch.randint(256, (3, 1, 9, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    stored, size = packing.pixels(images, limit=3 * 4 * 4)
    assert size == [4, 4, 1]
    found = np.frombuffer(stored, np.uint8).reshape(3, 4, 4)
    for i in range(3):
        for y in range(4):
            for x in range(4):
                square = [int(images[i, 0, 2 * y + a, 2 * x + b]) for a in (0, 1) for b in (0, 1)]
                assert found[i, y, x] == (sum(square) + 2) // 4
