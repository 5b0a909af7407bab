"""What a person wears, by colour alone: the baseline that a network must beat to have learnt anything.

It is a fair one. It looks at the middle of the box, where the person is; it takes the camera's tint away (grey world:
red, green and blue are scaled until each has the same mean); it counts head, chest and legs apart; and a colour between
two bins counts in both. A histogram of the whole picture would know the camera and not the person.
"""

import itertools

import torch
from torch import Tensor

from dml_teach.errors import DataError

BINS, STRIPES = 6, 6
MIDDLE = 128


def colour_histogram(images: Tensor) -> Tensor:
    """Features (N, 6 * 216) float64 of images (N, 3, H, W) uint8, to be compared by cosine or Euclidean distance.

    Six stripes from top to bottom, each with a histogram of 6 x 6 x 6 colours whose square roots have length 1: the
    product of two is their Bhattacharyya coefficient. Raises `DataError` for other images or fewer than 16 x 8 pixels.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"images: {tuple(images.shape)} {images.dtype}; give (N, 3, H, W) torch.uint8")
    height, width = images.shape[2:]
    if height < 16 or width < 8:
        raise DataError(f"images: {height}x{width} pixels; a histogram of stripes needs 16x8")
    centre = images[:, :, height // 16 : height - height // 16, 3 * width // 8 : 5 * width // 8].double()
    balanced = (centre * (MIDDLE / centre.mean(dim=(2, 3), keepdim=True).clamp(min=1))).clamp(max=255)
    place = balanced / 255 * (BINS - 1)
    lower = place.floor().clamp(max=BINS - 2)
    share = place - lower
    rows = torch.arange(centre.shape[2]).tensor_split(STRIPES)
    return torch.cat([_stripe(lower[:, :, part].long(), share[:, :, part]) for part in rows], dim=1)


def _stripe(lower: Tensor, share: Tensor) -> Tensor:
    """Square roots of the shares of colours (N, 216); each pixel falls between bin `lower` and the one above it."""
    counts = torch.zeros(len(lower), BINS**3, dtype=torch.float64)
    for corner in itertools.product((0, 1), repeat=3):
        number, weight = torch.zeros_like(lower[:, 0]), torch.ones_like(share[:, 0])
        for channel, above in enumerate(corner):
            number = number * BINS + lower[:, channel] + above
            weight = weight * (share[:, channel] if above else 1 - share[:, channel])
        counts.scatter_add_(1, number.flatten(1), weight.flatten(1))
    return (counts / counts.sum(dim=1, keepdim=True)).sqrt()
