"""How much of a run a widget carries, and what is left out where that would be too much.

A page should open at once on a slow line, so the posteriors of all runs in a widget get `LIMIT` bytes. Four peers, ten
classes, 200 images and 60 epochs fit as they are, in fp32. Larger runs are stored in fp16; where that is not enough
epochs are thinned, then images, and the widget says so.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dml_teach.errors import RunError

LIMIT = 3_000_000
PIXEL_LIMIT = 700_000
LEAST_EPOCHS = 20
SMALLEST = 2.0**-24
"""The smallest positive number of fp16: a probability below it counts as this, for none may become 0."""


class Thinning(NamedTuple):
    """What of some runs is kept.

    Attributes:
        half: stored in fp16 rather than fp32.
        epochs: for each run the epochs that are kept, from 0.
        images: the probe images that are kept, from 0.
    """

    half: bool
    epochs: list[list[int]]
    images: list[int]


def thin(shapes: Sequence[tuple[int, int, int, int]], limit: int = LIMIT) -> Thinning:
    """What to keep of posteriors with these shapes (E, K, N, C), N alike, so that they take at most `limit` bytes.

    Raises:
        RunError: not even one image would fit.
    """
    lengths, count = [shape[0] for shape in shapes], shapes[0][2]
    whole = Thinning(False, [list(range(length)) for length in lengths], list(range(count)))
    if _bytes(shapes, whole) <= limit:
        return whole
    kept = whole._replace(half=True)
    for step in range(1, max(lengths) + 1):
        fewer = [every(length, step) for length in lengths]
        if step > 1 and max(map(len, fewer)) < min(LEAST_EPOCHS, max(lengths)):
            break
        if step > 1 and list(map(len, fewer)) == list(map(len, kept.epochs)):
            continue  # a longer step that leaves as many would only be less even
        kept = kept._replace(epochs=fewer)
        if _bytes(shapes, kept) <= limit:
            return kept
    an_image = _bytes(shapes, kept) // count
    if an_image > limit:
        raise RunError(f"the posteriors of one image take {an_image:,} bytes; a widget holds at most {limit:,}")
    return kept._replace(images=spread(count, limit // an_image))


def every(length: int, step: int) -> list[int]:
    """Every `step`-th epoch, counted back from the last one, and the first."""
    return sorted({0, *range(length - 1, -1, -step)})


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` of `count` places at even distances, the first among them."""
    wanted = min(wanted, count)
    return [place * count // wanted for place in range(wanted)]


def _bytes(shapes: Sequence[tuple[int, int, int, int]], kept: Thinning) -> int:
    numbers = sum(
        len(epochs) * peers * len(kept.images) * classes
        for (_, peers, _, classes), epochs in zip(shapes, kept.epochs, strict=True)
    )
    return numbers * (2 if kept.half else 4)


def pack(posteriors: Tensor, half: bool) -> bytes:
    """Posteriors as bytes, little-endian, fp32 or fp16, in the order of their axes."""
    if half:
        return posteriors.clamp_min(SMALLEST).half().contiguous().numpy().astype("<f2", copy=False).tobytes()
    return posteriors.float().contiguous().numpy().astype("<f4", copy=False).tobytes()


def pixels(images: Tensor, limit: int = PIXEL_LIMIT) -> tuple[bytes, list[int]]:
    """Images (N, C, H, W) uint8 as bytes (N, H', W', C) and [H', W', C], averaged over squares until they fit.

    The sums are of integers, so the bytes are the same on every machine.
    """
    count, channels, height, width = images.shape
    side = 1
    while count * channels * max(height // side, 1) * max(width // side, 1) > limit and side < min(height, width):
        side += 1
    height, width = height // side, width // side
    squares = images[:, :, : height * side, : width * side].int()
    squares = squares.reshape(count, channels, height, side, width, side)
    mean = (squares.sum(dim=(3, 5)) + side * side // 2) // (side * side)
    return mean.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy().tobytes(), [height, width, channels]
