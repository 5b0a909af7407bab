"""What the references are made of: plain NumPy in double precision, slow and obvious; and tensors to try things on."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def log_posteriors(logits: Array, temperature: float = 1.0) -> Array:
    """ln softmax over the last axis, row by row."""
    scores = np.asarray(logits, float) / temperature
    top = scores.max(axis=-1, keepdims=True)
    return scores - top - np.log(np.exp(scores - top).sum(axis=-1, keepdims=True))


def posteriors(logits: Array, temperature: float = 1.0) -> Array:
    """softmax over the last axis."""
    return np.exp(log_posteriors(logits, temperature))


def divergence(first_logs: Array, second_logs: Array) -> float:
    """D_KL of two opinions on one image from their logarithms, class by class."""
    return math.fsum(
        math.exp(a) * (a - b) for a, b in zip(first_logs.tolist(), second_logs.tolist(), strict=True) if a > -700
    )


def divergences(first: Array, second: Array, temperature: float = 1.0) -> Array:
    """D_KL(first || second) of each image from logits (B, C)."""
    pairs = zip(log_posteriors(first, temperature), log_posteriors(second, temperature), strict=True)
    return np.array([divergence(a, b) for a, b in pairs])


def of_labels(logits: Array, labels: Array) -> Array:
    """-ln p of the right class of each image."""
    return np.array([-row[label] for row, label in zip(log_posteriors(logits), labels, strict=True)])


def one_hot(labels: Array, classes: int) -> Array:
    """(B, C)."""
    return np.array([[float(label == c) for c in range(classes)] for label in labels])


def tensor(values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    """A tensor of these numbers."""
    return torch.tensor(np.asarray(values), dtype=dtype)


def draw(rng: np.random.Generator, *shape: int, size: float = 2.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers of this size."""
    return tensor(size * rng.standard_normal(shape), dtype)


def labels_for(rng: np.random.Generator, images: int, classes: int) -> Tensor:
    """Labels (B,) int64."""
    return tensor(rng.integers(0, classes, images), torch.int64)


def is_table(value: Any) -> bool:
    """Whether it is a tensor with rows and columns."""
    return isinstance(value, Tensor) and value.ndim >= 2


def turned(values: Tensor) -> Tensor:
    """The same numbers, but lying in memory column by column."""
    return values.transpose(-1, -2).contiguous().transpose(-1, -2)


def extreme(rng: np.random.Generator, *shape: int) -> Tensor:
    """Logits of plus and minus ten thousand, in which a plain exp overflows; both signs for every image."""
    signs = np.sign(rng.standard_normal(shape))
    signs[..., 0], signs[..., 1] = 1, -1
    return tensor(1e4 * signs + rng.standard_normal(shape))


EXTREME = "logits of ±10 000, at which a plain exp() overflows"
ONE_IMAGE = "a batch of one image"
TURNED = "a tensor that lies in memory column by column (a view)"
SINGLE = "float32"
FORMS = (EXTREME, ONE_IMAGE, TURNED, SINGLE)  # special in form, not in what is asked
EQUAL = "two equal opinions"


def pairs(
    rng: np.random.Generator, small: Sequence[Sequence[Sequence[float]]]
) -> list[tuple[str, tuple[Tensor, Tensor]]]:
    """Two logits (B, C) each for the usual kinds of cases: (what is special, the two)."""
    same = draw(rng, 3, 4)
    return [
        ("", (tensor(small[0]), tensor(small[1]))),
        ("", (draw(rng, 2, 4), draw(rng, 2, 4))),
        ("", (draw(rng, 5, 3), draw(rng, 5, 3))),
        ("", (draw(rng, 4, 7), draw(rng, 4, 7))),
        (ONE_IMAGE, (draw(rng, 1, 5), draw(rng, 1, 5))),
        ("two classes", (draw(rng, 3, 2), draw(rng, 3, 2))),
        (EQUAL, (same, same.clone())),
        (EXTREME, (extreme(rng, 3, 4), -extreme(rng, 3, 4))),
        (TURNED, (turned(draw(rng, 3, 4)), turned(draw(rng, 3, 4)))),
        (SINGLE, (draw(rng, 3, 4, dtype=torch.float32), draw(rng, 3, 4, dtype=torch.float32))),
    ]
