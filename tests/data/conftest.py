"""What several tests of the data need: random images, batches of them, and made-up CIFAR files."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dml_teach.data.batches import Batches
from dml_teach.data.cifar import CIFAR10, CIFAR100, Archive
from dml_teach.data.images import ImageSet

MEAN, STD = (0.51, 0.49, 0.44), (0.27, 0.26, 0.28)


def image_set(count: int, height: int = 9, width: int = 7, channels: int = 3) -> ImageSet:
    """Random images, each with a label of its own, so that a batch tells which images it holds."""
    pixels = torch.randint(256, (count, channels, height, width), generator=torch.Generator().manual_seed(count))
    names = tuple(str(label) for label in range(count))
    return ImageSet(
        pixels.to(torch.uint8),
        torch.arange(count),
        names,
        "random",
        MEAN[:channels],
        STD[:channels],
        may_store_images=True,
    )


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches(
    data: ImageSet, batch_size: int = 4, *, augment: bool = True, order: int = 0, augmentation: int = 1, **more
) -> Batches:
    return Batches(data, batch_size, augment=augment, order=seeded(order), augmentation=seeded(augmentation), **more)


def whole(loop) -> tuple[Tensor, Tensor]:
    """All images and all labels of a loop over batches."""
    images, labels = zip(*loop, strict=True)
    return torch.cat(images), torch.cat(labels)


def same(one, other) -> bool:
    """Whether two lists of batches agree to the bit, in number and size too."""
    return len(one) == len(other) and all(
        torch.equal(a, b) for pair, like in zip(one, other, strict=True) for a, b in zip(pair, like, strict=True)
    )


# --- CIFAR-10 and CIFAR-100 ---

RECORDS = 100  # in each of the small files that most tests make do with


@pytest.fixture(scope="module", params=[CIFAR10, CIFAR100], ids=lambda archive: archive.name)
def archive(request) -> Archive:
    """Each of the two as it is."""
    return request.param


@pytest.fixture
def small(archive) -> Archive:
    """The same with a few records in each file."""
    return archive._replace(files={split: dict.fromkeys(files, RECORDS) for split, files in archive.files.items()})


def classes(archive: Archive) -> int:
    return archive.labels[-1][1]


def class_names(archive: Archive) -> list[str]:
    return [f"class {number}" for number in range(classes(archive))]


def records(archive: Archive, seed: int) -> np.ndarray:
    """A hundred records (100, 3073 or 3074) with labels in turn and random pixels."""
    table = np.random.default_rng(seed).integers(0, 256, (RECORDS, len(archive.labels) + 3072), np.uint8)
    for column, (_, count) in enumerate(archive.labels):
        table[:, column] = np.arange(RECORDS) % count
    return table


def numbered(archive: Archive) -> dict[str, int]:
    """The files of records, each with the seed of its pixels."""
    return {name: seed for seed, name in enumerate(name for files in archive.files.values() for name in files)}


def contents(archive: Archive) -> dict[str, bytes]:
    """The small files by name."""
    return {
        **{name: records(archive, seed).tobytes() for name, seed in numbered(archive).items()},
        archive.names_file: "\n".join([*class_names(archive), "", ""]).encode(),
        "readme.html": b"not read",
    }
