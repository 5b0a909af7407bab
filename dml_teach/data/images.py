"""A labelled set of small images, and how to draw parts of it that are the same from every copy.

Copies of a data set may list its images in different orders, and then "the first 500" differ. Here parts are drawn by
content: an image's place follows from the SHA-256 of its bytes and from its label, never from its place in a file.

A warning that is also a lesson: CIFAR-100 has 26 groups of byte-identical images; 17 of them carry different labels,
and 10 reach from the training file into the test file (leakage). `split` gives each entry of a file to one part only,
but it does not hunt for such twins, and neither does the official division of the data.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dml_teach.errors import ConfigError, DataError


def content_hashes(images: Tensor) -> list[str]:
    """SHA-256 of each image's bytes in (C, H, W) order, as 64 hexadecimal digits; images (N, C, H, W) uint8."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images.cpu().numpy()]


def by_hash(data: "ImageSet") -> Tensor:
    """An order (N,) int64 of the images that depends on their bytes and labels alone, with class-balanced prefixes.

    Images are ranked by hash within their class; then all are sorted by rank, and by hash within a rank. So among the
    first n no two classes differ by more than one image, until a class runs out. Byte-identical images with one label
    are interchangeable; with two labels, the label decides.
    """
    hashes, labels = content_hashes(data.images), data.labels.tolist()
    seen = [0] * data.classes
    keys: list[tuple[int, str, int, int]] = []
    for index in sorted(range(len(data)), key=lambda i: hashes[i]):
        label = labels[index]
        keys.append((seen[label], hashes[index], label, index))
        seen[label] += 1
    return torch.tensor([index for *_, index in sorted(keys)])


def subset(data: "ImageSet", n: int) -> "ImageSet":
    """The first n images by hash: class-balanced to within one image, and the same from any copy of the data.

    Raises `ConfigError` unless 1 <= n <= len(data).
    """
    if not 1 <= n <= len(data):
        raise ConfigError(f"subset: {n} images asked of {data.name}, which has {len(data)}; choose 1 to {len(data)}")
    return data.take(by_hash(data)[:n])


def split(data: "ImageSet", held_out: int, subset: int | None = None) -> tuple["ImageSet", "ImageSet"]:
    """Training and held-out (validation) images, disjoint and both class-balanced, drawn by hash.

    Training takes the first `subset` images by hash (all but the last `held_out` when None), held-out the `held_out`
    that follow. Raises `ConfigError` when the two do not fit into the data or one of them would be empty.
    """
    training = len(data) - held_out if subset is None else subset
    if training < 1 or held_out < 1 or training + held_out > len(data):
        raise ConfigError(
            f"split: {training} training + {held_out} held-out images do not fit into the {len(data)} of {data.name};"
            f" choose two positive numbers with a sum of at most {len(data)}"
        )
    order = by_hash(data)
    return data.take(order[:training]), data.take(order[training : training + held_out])


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with labels, and what is needed to normalise, name and publish them.

    images            (N, C, H, W) uint8, N >= 1
    labels            (N,) int64 in 0 ... classes - 1, or -1 for an image whose label is not known
    class_names       one name per class
    name              "bundled", "cifar10", "cifar100" ...
    mean, std         one number per channel, for pixels scaled to [0, 1]; always those of the whole *training* file, so
                      that training, held-out and test images are normalised alike
    may_store_images  whether the licence lets a recording hold the pixels (else it holds hashes)

    Raises `DataError` naming the field when the parts do not fit together.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    may_store_images: bool

    def __post_init__(self) -> None:
        images, labels, name = self.images, self.labels, self.name
        if images.dtype != torch.uint8 or images.ndim != 4 or images.numel() == 0:
            raise DataError(f"images of {name}: {_describe(images)}; give (N, C, H, W) uint8 with at least one image")
        if labels.dtype != torch.int64 or labels.shape != (len(images),):
            raise DataError(f"labels of {name}: {_describe(labels)}; give ({len(images)},) int64, one for each image")
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < -1 or highest >= self.classes:
            raise DataError(f"labels of {name}: {lowest} to {highest}; the classes are 0 to {self.classes - 1}")
        for field, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise DataError(f"{field} of {name}: {len(values)} values; give one for each channel, {self.channels}")
        if min(self.std) <= 0:
            raise DataError(f"std of {name}: {self.std}; every channel needs a positive one")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """Number of classes, whether or not each has an image here."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.images.shape[1]

    def take(self, indices: Tensor | Sequence[int]) -> "ImageSet":
        """The images at `indices` (n,), in that order, with everything else unchanged."""
        chosen = torch.as_tensor(indices)
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])
