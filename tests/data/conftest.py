"""What several tests of the data need: random images, batches of them, and small CIFAR-100 files."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dml_teach.data import cifar100
from dml_teach.data.batches import Batches
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


# --- CIFAR-100 ---

NAMES = [f"class {number}" for number in range(100)]
TRAIN, TEST = 120, 100  # records in the small files that most tests make do with


def records(count: int, seed: int) -> np.ndarray:
    """Records (count, 3074) with labels in turn and random pixels."""
    table = np.random.default_rng(seed).integers(0, 256, (count, cifar100.RECORD_BYTES), np.uint8)
    table[:, 0], table[:, 1] = np.arange(count) % 20, np.arange(count) % 100
    return table


def contents() -> dict[str, bytes]:
    """The small files by name."""
    return {
        "train.bin": records(TRAIN, seed=0).tobytes(),
        "test.bin": records(TEST, seed=1).tobytes(),
        "fine_label_names.txt": "\n".join(NAMES).encode(),
        "coarse_label_names.txt": b"not read",
    }


@pytest.fixture
def small(monkeypatch):
    """Shrinks the official files to some records."""
    monkeypatch.setattr(cifar100, "RECORDS", {"train": TRAIN, "test": TEST})
