"""What may come in: features, distances and labels, checked and named in every complaint."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dml_teach.data.retrieval import JUNK
from dml_teach.errors import ConfigError, DataError

Array = Tensor | ArrayLike
Integers = NDArray[np.int64]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
REAL = (*FLOATS, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def one_of(name: str, value: str, known: Any) -> None:
    """Raise `ConfigError` if an option has a value that is not known."""
    if value not in known:
        raise ConfigError(f"{name} = {value!r}; give one of {', '.join(known)}")


def at_least_one(name: str, value: int) -> None:
    """Raise `ConfigError` if a count is no whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ConfigError(f"{name} = {value!r}; give a whole number from 1")


def features(name: str, values: Array) -> Tensor:
    """Features (N, D) with N, D >= 1 as a tensor, without a copy where that can be.

    Raises `DataError` if the shape is another or the values are no real numbers. Whether they are finite shows later.
    """
    found = values.detach() if isinstance(values, Tensor) else _from_numpy(np.asarray(values), name)
    if found.ndim != 2 or found.numel() == 0:
        raise DataError(f"{name}: features of shape {tuple(found.shape)}; give (images, dimensions), at least one each")
    if found.dtype not in REAL:
        raise DataError(f"{name}: features of type {str(found.dtype).removeprefix('torch.')}; give real numbers")
    return found


def same_width(**named: Tensor) -> None:
    """Raise `DataError` if features differ in their number of dimensions."""
    widths = {name: found.shape[1] for name, found in named.items()}
    if len(set(widths.values())) > 1:
        told = " and ".join(f"{width} of {name}" for name, width in widths.items())
        raise DataError(f"dimensions of the features: {told}; both must come from the same network")


def labels(name: str, values: Array, count: int, least: int | None = None) -> Integers:
    """Whole numbers (count,) as int64 on the host; `DataError` for another shape, type or a number below `least`."""
    found = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if found.shape != (count,) or found.dtype.kind not in "iu":
        raise DataError(f"{name}: {found.shape} {found.dtype}; give whole numbers ({count},), one for each image")
    if least is not None and found.size and found.min() < least:
        raise DataError(f"{name}: {found.min()} for image {found.argmin()}; {least} is the least there is")
    return found.astype(np.int64)


def identities(name: str, values: Array, count: int) -> Integers:
    """Identities (count,): 1 and up, 0 for a distractor, -1 for junk."""
    return labels(name, values, count, JUNK)


def distances(values: Array) -> Tensor | NDArray[Any]:
    """A matrix (Q, G) of real numbers, as it came if it was a tensor or an array; `DataError` otherwise."""
    found = values.detach() if isinstance(values, Tensor) else np.asarray(values)
    if found.ndim != 2 or 0 in found.shape:
        raise DataError(f"distances: shape {tuple(found.shape)}; give (queries, gallery images), at least one each")
    if not (found.dtype in REAL if isinstance(found, Tensor) else found.dtype.kind in "iuf"):
        raise DataError(f"distances: type {found.dtype}; give real numbers")
    return found


def _from_numpy(values: NDArray[Any], name: str) -> Tensor:
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: features of type {values.dtype}; give real numbers")
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    with warnings.catch_warnings():  # a read-only array, such as a memory map, is only read here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(plain)
