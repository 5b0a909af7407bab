"""Fewer labels, wrong labels: training images whose labels are hidden or altered, as experiments want them."""

from dataclasses import replace

import torch

from dml_teach.data.images import ImageSet, by_hash
from dml_teach.errors import ConfigError

HIDDEN = -1


def hide(data: ImageSet, labelled: float) -> ImageSet:
    """The same images with a share of the labels left, `labelled` in (0, 1]; the others become -1.

    Which are left follows from the images' content, and is balanced over the classes to within one image, as in
    `images.subset`.

    Raises:
        ConfigError: not one label would be left.
    """
    kept = round(labelled * len(data))
    if kept < 1:
        raise ConfigError(f"labelled: a share of {labelled:g} of {len(data)} images is less than one; choose more")
    labels = data.labels.clone()
    labels[by_hash(data)[kept:]] = HIDDEN
    return replace(data, labels=labels)


def corrupt(data: ImageSet, share: float, generator: torch.Generator) -> ImageSet:
    """The same images, a `share` in [0, 1) of which has a wrong label: any other class, all alike (symmetric noise).

    So exactly round(share * N) labels are wrong. Some authors draw from all classes, the right one too, which leaves
    fewer wrong ones.
    """
    wrong = torch.randperm(len(data), generator=generator)[: round(share * len(data))]
    labels = data.labels.clone()
    shift = torch.randint(1, max(data.classes, 2), (len(wrong),), generator=generator)
    labels[wrong] = (labels[wrong] + shift) % data.classes
    return replace(data, labels=labels)
