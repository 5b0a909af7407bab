"""Numbers in words and small enough to follow."""

import reprlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

SMALL = 16  # numbers; larger tensors are shown by their shape


def shown(value: Any) -> str:
    """A value on a line: its numbers if they are few, else its shape."""
    if isinstance(value, Tensor):
        if value.numel() > SMALL:
            return f"of shape {tuple(value.shape)}"
        return shown(value.detach().cpu().numpy() if value.device.type != "meta" else tuple(value.shape))
    if isinstance(value, np.ndarray):
        return str(_rounded(value.tolist())) if value.size <= SMALL else f"of shape {value.shape}"
    if isinstance(value, torch.Generator):
        return "(a generator)"
    if isinstance(value, float | np.floating):
        return str(_rounded(float(value)))
    if isinstance(value, tuple | list):
        if len(value) > SMALL:
            return f"{type(value).__name__} of {len(value)}"
        return "(" + ", ".join(map(shown, value)) + ")"
    if callable(value):
        return f"({getattr(value, '__name__', 'a function')})"
    return reprlib.repr(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value
