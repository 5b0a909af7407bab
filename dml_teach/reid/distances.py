"""Distances of some queries from the whole gallery at a time, with the same bits however they are cut.

A matrix product rounds as its shape and its edges make it round: the same two images can come out at different
distances in a wide product and in a narrow one, and two equal images at different places of one product. Ties would
break, and scores would depend on the chunk. So every product here has one shape, `ROWS` x `COLUMNS`, the last ones
filled up with zeros. These fit a processor's cache, and both are multiples of what the inner loops of the common
libraries take at a time, so every place of a product is computed alike. It is also faster than one large product.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dml_teach.errors import DataError
from dml_teach.reid.inputs import FLOATS

ROWS, COLUMNS = 192, 768
METRICS = ("cosine", "euclidean")

# Multiplications that take a few hundredths of a second in fp64: up to here it costs nothing to be exact.
SMALL = 2**28
# Squared length of a feature from which products would overflow in fp32.
TOO_LONG = 1e36


def working_type(products: int, *features: Tensor) -> torch.dtype:
    """The type for so many multiplications: fp64 for small sets and for fp64 or whole numbers, else fp32."""
    exact = {found.dtype for found in features} - set(FLOATS[:-1])
    return torch.float64 if exact or products <= SMALL else torch.float32


def blocks(
    query: Tensor, gallery: Tensor, metric: str, chunk: int, device: torch.device | str | None
) -> Iterator[tuple[int, NDArray[Any]]]:
    """For some queries at a time the number of the first and what ranks the gallery for them, (B, G) on the host.

    In each row the values increase with the distance: minus the cosine times the query's length, or half the squared
    Euclidean distance but for the query's own share. The array is used again for the next queries.

    Raises `DataError` if a feature is not finite.
    """
    place = torch.device(device) if device is not None else gallery.device
    if place.type == "mps":  # has no fp64
        place = torch.device("cpu")
    kind = working_type(len(query) * gallery.numel(), query, gallery)
    images = gallery.to(place, kind)
    lengths = squared_lengths("gallery", images)
    if metric == "cosine":
        scale = -torch.where(lengths > 0, lengths.rsqrt(), 0).to(kind)
    tiles = tiled(images)
    height = -(-min(chunk, len(query)) // ROWS) * ROWS
    held = images.new_empty((height, COLUMNS * len(tiles)))
    for start in range(0, len(query), height):
        rows = query[start : start + height].to(place, kind)
        squared_lengths("query", rows, start)
        product(rows if metric == "cosine" else -rows, tiles, held)
        values = held[: len(rows), : len(gallery)]
        if metric == "cosine":
            values.mul_(scale)
        else:
            values.add_((lengths / 2).to(kind))
        yield start, values.cpu().numpy()


def tiled(images: Tensor) -> list[Tensor]:
    """Images (G, D) in views of `COLUMNS` rows, the last one a copy filled up with zeros."""
    parts = [part.contiguous() for part in images.split(COLUMNS)]
    parts[-1] = F.pad(parts[-1], (0, 0, 0, COLUMNS - len(parts[-1])))
    return parts


def product(rows: Tensor, tiles: list[Tensor], out: Tensor) -> None:
    """out (R, C) = rows (N, D) @ tiles.T, in products of `ROWS` x `COLUMNS`; R and C are multiples of them, R >= N."""
    with full_precision(rows.device.type):
        for top, part in enumerate(rows.split(ROWS)):
            if len(part) < ROWS:
                part = F.pad(part, (0, 0, 0, ROWS - len(part)))
            for left, tile in enumerate(tiles):
                place = out[top * ROWS : (top + 1) * ROWS, left * COLUMNS : (left + 1) * COLUMNS]
                torch.mm(part, tile.T, out=place)


@contextmanager
def full_precision(device_type: str) -> Iterator[None]:
    """Neither autocast nor a setting for faster training may shorten the numbers that are multiplied."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def squared_lengths(name: str, features: Tensor, first: int = 0) -> Tensor:
    """Squared lengths (N,) in fp64 of features (N, D); `first` is the number of the first image, for messages.

    Raises `DataError` for the first image whose feature is not finite, or too long to be compared.
    """
    lengths = torch.cat([part.double().square().sum(dim=1) for part in features.split(COLUMNS)])
    bad = (~(lengths < TOO_LONG)).nonzero()
    if len(bad):
        image = first + int(bad[0])
        raise DataError(
            f"{name}: the feature of image {image} is not finite, or far too long; has its network diverged?"
        )
    return lengths
