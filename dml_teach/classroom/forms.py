"""The outer form of an answer: its type, shape and dtype, and what a wrong one usually means."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom.task import Case, Refused

HUGE = 10_000_000  # numbers; no answer is that large


def plain(value: Any) -> Any:
    """A value in NumPy: tensors as arrays, fractions in float64; tuples part by part; everything else as it is."""
    if isinstance(value, Tensor):
        array = value.detach().cpu().resolve_conj().resolve_neg()
        return (array.double() if array.is_floating_point() else array).numpy()
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    if isinstance(value, np.floating):
        return float(value)
    return value


def single(arguments: Sequence[Any]) -> bool:
    """Whether an argument is in single precision."""
    return any(isinstance(a, Tensor) and a.dtype == torch.float32 for a in arguments)


def alike(one: Any, other: Any) -> bool:
    """Whether two plain values have one shape."""
    if isinstance(one, tuple) or isinstance(other, tuple):
        return (
            isinstance(one, tuple)
            and isinstance(other, tuple)
            and len(one) == len(other)
            and all(map(alike, one, other))
        )
    return np.shape(one) == np.shape(other)


def wanted_dtype(dtype: torch.dtype | str, arguments: Sequence[Any]) -> torch.dtype | None:
    """The dtype that a tensor is to have, "same" being that of the first argument with fractions."""
    if isinstance(dtype, torch.dtype):
        return dtype
    found = (a.dtype for a in arguments if isinstance(a, Tensor) and a.is_floating_point())
    return next(found, None) if dtype == "same" else None


def check(result: Any, expected: Any, dtype: torch.dtype | None, case: Case, names: Sequence[str]) -> None:
    """Type, shape and dtype of a result.

    Raises:
        Refused: one of them is not as expected; the message says what that usually means.
    """
    where = f" with {case.says}" if case.says else ""
    if result is None:
        raise Refused("It returns None. Is there a `return` at its end?")
    if isinstance(expected, tuple):
        many = len(result) if isinstance(result, tuple | list) else None
        if many != len(expected):
            got = f"{many} of them" if many is not None else _kind(result)
            raise Refused(f"It is to return {len(expected)} things, but returns {got}.")
        for part, wanted in zip(result, expected, strict=True):
            check(part, wanted, dtype, case, names)
        return
    if isinstance(expected, np.ndarray | np.floating):
        _check_tensor(result, expected, dtype, where)
        for a in case.arguments:
            if isinstance(a, Tensor) and a.device != result.device:
                raise Refused(f"It moves its result to another device, {result.device}.")
    elif isinstance(result, Tensor) and result.numel() == 1 and result.ndim == 0:
        return
    elif isinstance(expected, bool | int | float) and not isinstance(result, bool | int | float | np.number | np.bool_):
        raise Refused(f"It is to return one number, but returns {_kind(result)}{where}.")


def _check_tensor(result: Any, expected: Any, dtype: torch.dtype | None, where: str) -> None:
    if not isinstance(result, Tensor):
        raise Refused(f"It is to return a tensor of shape {np.shape(expected)}, but returns {_kind(result)}{where}.")
    if result.layout != torch.strided:
        raise Refused("It returns a sparse tensor; return a plain one.")
    if tuple(result.shape) != np.shape(expected):
        raise Refused(_of_shape(tuple(result.shape), np.shape(expected), where))
    if dtype is not None and result.dtype != dtype:
        name = str(dtype).removeprefix("torch.")
        raise Refused(
            f"It returns {str(result.dtype).removeprefix('torch.')}, and {name} is wanted{where}. New tensors are "
            f"float32 "
            f"unless they are told otherwise: make them like the arguments (`torch.zeros_like(x)`, `x.new_zeros(...)`, "
            f"`.to(x)`)."
        )


def _of_shape(got: tuple[int, ...], wanted: tuple[int, ...], where: str) -> str:
    said = f"Its result has shape {got} instead of {wanted}{where}."
    if np.prod(got, dtype=float) > HUGE:
        return f"{said} That is far too much."
    if got == wanted[::-1]:
        return f"{said} It stands on its side: rows and columns have changed places."
    if [n for n in got if n != 1] == [n for n in wanted if n != 1]:
        more = "too many; do not keep what you have summed over" if len(got) > len(wanted) else "missing"
        return f"{said} An axis of length 1 is {more} (squeeze and unsqueeze without an axis, and keepdim, do that)."
    if got == ():
        return f"{said} It is one number for all: the mean or sum also went over an axis that is to stay."
    if len(got) < len(wanted):
        return f"{said} A mean or sum went over an axis that is to stay."
    if len(got) > len(wanted):
        return f"{said} A mean or sum over an axis is missing."
    return said


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of shape {value.shape}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    article = "an" if type(value).__name__[0] in "aeiou" else "a"
    return f"{article} {type(value).__name__}"
