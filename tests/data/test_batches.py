"""Batches: what is drawn, and what is served."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import functional as slow

from dml_teach.data import bundled
from dml_teach.data.batches import PAD, Batches, draw_crops, evaluation_batches, normalise, reflected, resized
from dml_teach.data.images import ImageSet
from dml_teach.errors import ConfigError, DataError
from tests.data.conftest import MEAN, STD, batches, image_set, same, seeded, whole


def crop_and_flip_one_by_one(data: ImageSet, order: int, augmentation: int) -> Tensor:
    """An epoch's augmented images, by torchvision, an image at a time."""
    permutation = torch.randperm(len(data), generator=seeded(order))
    top, left, flip = draw_crops(len(data), seeded(augmentation))
    height, width = data.images.shape[2:]
    expected = []
    for place, index in enumerate(permutation):
        padded = slow.pad(data.images[index], [PAD], padding_mode="reflect")
        image = slow.crop(padded, int(top[place]), int(left[place]), height, width)
        expected.append(slow.hflip(image) if flip[place] else image)
    return torch.stack(expected)


# --- normalise ---


def test_normalise_agrees_with_torchvision():
    images = image_set(5).images
    expected = torch.stack([slow.normalize(image / 255, MEAN, STD) for image in images])
    assert torch.allclose(normalise(images, MEAN, STD), expected, atol=1e-5)


def test_normalised_images_are_float32_channels_last():
    images = normalise(image_set(5).images, MEAN, STD)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_normalise_leaves_its_input_alone():
    images = image_set(5).images
    before = images.clone()
    normalise(images, MEAN, STD)
    assert torch.equal(images, before)


def test_normalise_refuses_images_that_were_scaled_before():
    with pytest.raises(DataError, match=r"^images: .* not torch\.float32$"):
        normalise(torch.rand(2, 3, 8, 8), MEAN, STD)


# --- crop and flip ---


@given(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3]), st.integers(0, 1000))
def test_crop_and_flip_agree_with_torchvision_to_the_bit(height, width, channels, seed):
    data = image_set(13, height, width, channels)
    images, _ = whole(batches(data, order=seed, augmentation=seed + 1))
    expected = crop_and_flip_one_by_one(data, order=seed, augmentation=seed + 1)
    assert torch.equal(images, normalise(expected, data.mean, data.std))


def test_crop_and_flip_of_real_images_agree_with_torchvision_to_the_bit():
    data = bundled.load("train").take(range(300))
    images, _ = whole(batches(data, batch_size=64))
    assert torch.equal(images, normalise(crop_and_flip_one_by_one(data, 0, 1), data.mean, data.std))


@given(st.integers(5, 40), st.integers(1, 100))
def test_reflected_continues_the_padding_of_torch(size, length):
    line = torch.arange(size, dtype=torch.float32)
    padded = torch.nn.functional.pad(line[None], (PAD, PAD), mode="reflect")[0].long()
    shown = min(length, size + 2 * PAD)
    assert torch.equal(reflected(size, length)[:shown], padded[:shown])


def test_crop_and_flip_are_drawn_per_image():
    top, left, flip = draw_crops(64, seeded(0))
    assert all(len(drawn.unique()) > 1 for drawn in (top, left, flip))


def test_all_81_crops_occur_with_and_without_a_flip():
    top, left, flip = draw_crops(5_000, seeded(0))
    assert (top * 18 + left * 2 + flip).unique().tolist() == list(range(162))


def test_about_half_of_the_images_are_flipped():
    *_, flip = draw_crops(10_000, seeded(0))
    assert 0.48 < flip.float().mean() < 0.52


def test_every_epoch_draws_crops_anew():
    data = image_set(12)
    served = batches(data)
    first, second = dict(pairs(served)), dict(pairs(served))
    assert sum(torch.equal(first[label], second[label]) for label in first) < 3


def pairs(loop) -> list[tuple[int, Tensor]]:
    """Label and image, one by one."""
    images, labels = whole(loop)
    return list(zip(labels.tolist(), images, strict=True))


def test_without_augmentation_pixels_are_untouched():
    data = image_set(11)
    images, labels = whole(batches(data, augment=False))
    assert torch.equal(images, normalise(data.images[labels], MEAN, STD))


def test_without_augmentation_images_are_still_shuffled():
    _, labels = whole(batches(image_set(50), augment=False))
    assert labels.tolist() != list(range(50))


def test_without_augmentation_nothing_is_drawn_for_it():
    generator = seeded(1)
    list(Batches(image_set(11), 4, augment=False, order=seeded(0), augmentation=generator))
    assert torch.equal(generator.get_state(), seeded(1).get_state())


def test_the_image_set_is_left_alone():
    data = image_set(11)
    before = data.images.clone()
    list(batches(data))
    assert torch.equal(data.images, before)


# --- an epoch ---


@given(st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_an_epoch_serves_every_image_once(count, batch_size, augment):
    _, labels = whole(batches(image_set(count), batch_size, augment=augment))
    assert sorted(labels.tolist()) == list(range(count))


@given(st.integers(1, 30), st.integers(1, 40))
def test_the_length_is_the_number_of_batches(count, batch_size):
    served = batches(image_set(count), batch_size)
    assert len(list(served)) == len(served)


def test_when_the_images_fill_all_batches_no_empty_one_follows():
    assert [len(labels) for _, labels in batches(image_set(8), batch_size=4)] == [4, 4]


def test_all_batches_are_full_but_the_last():
    assert [len(labels) for _, labels in batches(image_set(10), batch_size=4)] == [4, 4, 2]


@pytest.mark.parametrize("augment", [True, False])
def test_a_batch_is_float32_channels_last_with_int64_labels(augment):
    for images, labels in batches(image_set(10), augment=augment):
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_every_epoch_has_an_order_of_its_own():
    served = batches(image_set(30))
    assert whole(served)[1].tolist() != whole(served)[1].tolist()


@pytest.mark.parametrize("augment", [True, False])
def test_the_same_seeds_give_the_same_bits_over_epochs(augment):
    one, other = (batches(image_set(10), augment=augment) for _ in range(2))
    for _ in range(3):
        assert same(list(one), list(other))


def test_another_augmentation_seed_leaves_the_order_as_it_is():
    data = image_set(30)
    (images, labels), (others, same_labels) = whole(batches(data)), whole(batches(data, augmentation=2))
    assert torch.equal(labels, same_labels)
    assert not torch.equal(images, others)


def test_another_order_seed_leaves_the_crops_as_they_are():
    data = image_set(30)
    alike = replace(data, images=data.images[:1].expand_as(data.images))  # only the crops can tell these apart
    (images, labels), (same_images, others) = whole(batches(alike)), whole(batches(alike, order=5))
    assert torch.equal(images, same_images)
    assert not torch.equal(labels, others)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_an_impossible_batch_size_is_refused(batch_size):
    with pytest.raises(ConfigError, match=f"^batch_size: {batch_size}; choose at least 1$"):
        batches(image_set(3), batch_size)


@pytest.mark.parametrize(("height", "width"), [(4, 9), (9, 4), (1, 1)])
def test_images_too_small_to_be_padded_are_refused(height, width):
    with pytest.raises(ConfigError, match=rf"^augment: {height}x{width} pixels"):
        batches(image_set(3, height, width))


def test_images_too_small_to_be_padded_may_be_used_as_they_are():
    assert len(whole(batches(image_set(3, 2, 1), augment=False))[0]) == 3


@pytest.mark.parametrize("name", ["order", "augmentation"])
def test_a_generator_elsewhere_than_on_the_cpu_is_refused(name):
    class Elsewhere:
        device = torch.device("cuda", 0)

    generators = {"order": seeded(0), "augmentation": seeded(1), name: Elsewhere()}
    with pytest.raises(ConfigError, match=f"^{name}: a generator on cuda:0; "):
        Batches(image_set(3), 2, augment=True, **generators)


# --- flips alone, and other sizes ---


def test_without_crops_each_image_is_itself_or_its_mirror_image():
    data = image_set(40, 6, 5)
    images, _ = whole(batches(data, augment=True, crops=False))
    order = torch.randperm(len(data), generator=seeded(0))
    flip = draw_crops(len(data), seeded(1))[2]
    plain = normalise(data.images[order], MEAN, STD)
    assert torch.equal(images, torch.where(flip[:, None, None, None], plain.flip(3), plain))
    assert 0 < int(flip.sum()) < len(data)


def test_resized_batches_are_those_of_torchvision_one_size_after_the_other():
    data = image_set(10, 16, 8)
    images, _ = whole(batches(data, augment=False, sizes=((20, 8), (28, 28))))
    wanted, _ = whole(batches(data, augment=False))
    for size in ((20, 8), (28, 28)):
        wanted = slow.resize(wanted, size, antialias=True)
    assert images.shape == (10, data.channels, 28, 28)
    torch.testing.assert_close(images, wanted, rtol=0, atol=1e-5)


def test_resized_images_are_channels_last_and_the_clean_ones_are_resized_too():
    data = image_set(10, 16, 8)
    for images, _, clean in batches(data, sizes=((12, 12),), clean=True):
        assert images.shape[2:] == clean.shape[2:] == (12, 12)
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_evaluation_resizes_as_training_does():
    data = image_set(10, 16, 8)
    images, _ = whole(evaluation_batches(data, 4, sizes=((12, 12),)))
    assert torch.equal(images, resized(normalise(data.images, MEAN, STD), ((12, 12),)))


# --- evaluation ---


def test_evaluation_batches_come_in_order_and_unaugmented():
    data = image_set(10)
    images, labels = whole(evaluation_batches(data, 4))
    assert torch.equal(labels, data.labels)
    assert torch.equal(images, normalise(data.images, MEAN, STD))


def test_evaluation_batches_are_full_but_the_last():
    assert [len(labels) for _, labels in evaluation_batches(image_set(10), 4)] == [4, 4, 2]


def test_evaluation_batches_are_channels_last():
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in evaluation_batches(image_set(10), 4))


def test_an_impossible_evaluation_batch_size_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"^batch_size: 0; choose at least 1$"):
        evaluation_batches(image_set(3), 0)


# --- devices and speed ---


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("augment", [True, False])
def test_a_gpu_serves_the_same_bits_as_the_cpu(augment):
    data = image_set(50, 32, 32)
    here = batches(data, augment=augment)
    there = Batches(data, 4, augment=augment, order=seeded(0), augmentation=seeded(1), device="cuda")
    for _ in range(2):
        assert same(list(here), [(images.cpu(), labels.cpu()) for images, labels in there])
