"""Image sets, and parts of them drawn by content."""

import hashlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dml_teach.data.images import ImageSet, by_hash, content_hashes, split, subset
from dml_teach.errors import ConfigError, DataError

NAMES = ("ant", "bee", "cat")


def image_set(labels, seed=0, size=3) -> ImageSet:
    pixels = torch.randint(256, (len(labels), 2, size, size), generator=torch.Generator().manual_seed(seed))
    return ImageSet(
        pixels.to(torch.uint8), torch.tensor(labels), NAMES, "tiny", (0.5, 0.5), (0.2, 0.2), may_store_images=True
    )


def entries(data: ImageSet) -> list[tuple[bytes, int]]:
    """What an image set holds, in order: bytes and label of each image."""
    return [(image.tobytes(), label) for image, label in zip(data.images.numpy(), data.labels.tolist(), strict=True)]


@st.composite
def shuffled_twice(draw) -> tuple[ImageSet, ImageSet]:
    """One set in two orders; images of one pixel with few grey levels, so that many are byte-identical."""
    labels = draw(st.lists(st.integers(0, 2), min_size=1, max_size=20))
    pixels = draw(st.lists(st.integers(0, 5), min_size=len(labels), max_size=len(labels)))
    images = torch.tensor(pixels, dtype=torch.uint8).view(-1, 1, 1, 1)
    data = ImageSet(images, torch.tensor(labels), NAMES, "tiny", (0.5,), (0.2,), may_store_images=True)
    return data, data.take(draw(st.permutations(range(len(labels)))))


# --- ImageSet ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", torch.zeros(3, 2, 4, 4)),
        ("images", torch.zeros(3, 4, 4, dtype=torch.uint8)),
        ("images", torch.zeros(0, 2, 4, 4, dtype=torch.uint8)),
        ("labels", torch.zeros(3)),
        ("labels", torch.zeros(2, dtype=torch.int64)),
        ("labels", torch.zeros(3, 1, dtype=torch.int64)),
        ("labels", torch.tensor([0, 1, 3])),
        ("labels", torch.tensor([0, -2, 2])),  # -1 is a label that is not known
        ("mean", (0.5,)),
        ("std", (0.2, 0.2, 0.2)),
        ("std", (0.2, 0.0)),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_by_name(field, value):
    with pytest.raises(DataError, match=f"^{field} of tiny: "):
        replace(image_set([0, 1, 2]), **{field: value})


def test_classes_are_counted_by_name_even_when_one_has_no_image():
    assert image_set([0, 1]).classes == 3


def test_channels_are_the_second_dimension():
    assert image_set([0, 1], size=5).channels == 2


def test_length_is_the_number_of_images():
    assert len(image_set([0, 1, 2, 0])) == 4


def test_take_keeps_the_order_asked_for():
    data = image_set([0, 1, 2])
    assert entries(data.take([2, 0])) == [entries(data)[2], entries(data)[0]]


def test_take_keeps_what_describes_the_whole_set():
    part, data = image_set([0, 1, 2]).take(torch.tensor([1])), image_set([0, 1, 2])
    assert (part.class_names, part.name, part.mean, part.std) == (data.class_names, data.name, data.mean, data.std)


def test_an_image_set_can_not_be_changed():
    with pytest.raises(AttributeError):
        image_set([0]).labels = torch.tensor([1])


# --- by_hash ---


def test_a_content_hash_is_the_sha256_of_the_bytes():
    data = image_set([0, 1])
    assert content_hashes(data.images) == [hashlib.sha256(pixels).hexdigest() for pixels, _ in entries(data)]


def test_a_content_hash_does_not_depend_on_the_memory_format():
    images = image_set([0, 1]).images
    assert content_hashes(images.contiguous(memory_format=torch.channels_last)) == content_hashes(images)


@given(shuffled_twice())
def test_the_order_by_hash_does_not_depend_on_the_order_of_the_file(pair):
    one, other = pair
    assert entries(one.take(by_hash(one))) == entries(other.take(by_hash(other)))


@given(shuffled_twice())
def test_the_order_by_hash_holds_every_image_once(pair):
    data, _ = pair
    assert sorted(by_hash(data).tolist()) == list(range(len(data)))


@given(st.integers(1, 6), st.permutations([0, 1, 2]))
def test_any_prefix_by_hash_is_class_balanced_to_within_one_image(per_class, labels):
    data = image_set(labels * per_class, seed=per_class)
    ordered = data.labels[by_hash(data)]
    for n in range(len(data) + 1):
        counts = ordered[:n].bincount(minlength=3)
        assert counts.max() - counts.min() <= 1


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_within_a_class_the_order_is_that_of_the_hashes(labels):
    data = image_set(labels)
    hashes, order = content_hashes(data.images), by_hash(data).tolist()
    for label in range(3):
        own = [hashes[i] for i in order if labels[i] == label]
        assert own == sorted(own)


def test_images_of_one_rank_are_ordered_by_hash_not_by_class():
    data = image_set([0, 1, 2] * 5)
    hashes, order = content_hashes(data.images), by_hash(data).tolist()
    for rank in range(5):
        members = [hashes[i] for i in order[3 * rank : 3 * rank + 3]]
        assert members == sorted(members)


# --- subset and split ---


def test_a_subset_is_a_prefix_of_a_larger_one():
    data = image_set([0, 1, 2] * 5)
    assert entries(subset(data, 11))[:7] == entries(subset(data, 7))


def test_a_subset_may_be_everything():
    data = image_set([0, 1, 2] * 2)
    assert sorted(entries(subset(data, 6))) == sorted(entries(data))


@pytest.mark.parametrize("n", [0, -1, 7])
def test_a_subset_that_does_not_fit_is_refused_with_the_numbers(n):
    with pytest.raises(ConfigError, match=rf"{n} images asked of tiny, which has 6; choose 1 to 6$"):
        subset(image_set([0, 1, 2] * 2), n)


@pytest.mark.parametrize("limit", [None, 3, 6, 9])
def test_training_and_held_out_images_are_disjoint(limit):
    training, held_out = split(image_set([0, 1, 2] * 5), held_out=6, subset=limit)
    assert not set(entries(training)) & set(entries(held_out))


@pytest.mark.parametrize("limit", [3, 6, 9])
def test_training_and_held_out_images_are_class_balanced(limit):
    training, held_out = split(image_set([0, 1, 2] * 5), held_out=6, subset=limit)
    assert training.labels.bincount().tolist() == [limit // 3] * 3
    assert held_out.labels.bincount().tolist() == [2] * 3


def test_without_a_limit_training_takes_all_that_is_not_held_out():
    training, held_out = split(image_set([0, 1, 2] * 5), held_out=6)
    assert (len(training), len(held_out)) == (9, 6)


def test_training_images_are_the_subset_of_that_size():
    data = image_set([0, 1, 2] * 5)
    assert entries(split(data, held_out=6, subset=4)[0]) == entries(subset(data, 4))


@pytest.mark.parametrize(("held_out", "limit"), [(6, 10), (15, None), (16, None), (0, 5), (-1, None), (5, 0)])
def test_a_split_that_does_not_fit_is_refused_with_the_numbers(held_out, limit):
    training = 15 - held_out if limit is None else limit
    with pytest.raises(
        ConfigError, match=rf"^split: {training} training \+ {held_out} held-out images .* the 15 of tiny"
    ):
        split(image_set([0, 1, 2] * 5), held_out, limit)
