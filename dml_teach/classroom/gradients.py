"""Where the gradient of a student's result goes, and where it should go: by finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dml_teach.classroom.calling import Caller
from dml_teach.classroom.task import Refused

STEP = 1e-5


def of(call: Caller, result: Any, inputs: dict[str, Tensor], needed: bool) -> dict[str, NDArray[Any] | None]:
    """The gradient of the result's sum for each input; None where it does not depend on it.

    Raises:
        Refused: it carries no gradient at all, although one is `needed`.
    """
    if not inputs:
        return {}
    if not (isinstance(result, Tensor) and result.requires_grad):
        if needed:
            raise Refused(
                "Its result carries no gradient, so nobody could learn from it: something in it was detached, computed "
                "under no_grad, or turned into a plain number (.item(), float, numpy, torch.tensor)."
            )
        return dict.fromkeys(inputs)
    found = call.guarded(
        lambda: torch.autograd.grad(result.sum(), list(inputs.values()), allow_unused=True), " in backward()"
    )
    plain = [None if g is None else g.detach().double().numpy() for g in found]
    return dict(zip(inputs, plain, strict=True))


def by_differences(reference: Callable[..., Any], arguments: tuple[Any, ...], index: int) -> NDArray[Any]:
    """Central differences of the reference's sum for the argument at `index`."""
    at = arguments[index]
    slope = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        values = []
        for sign in (1, -1):
            moved = at.copy()
            moved[place] += sign * STEP
            values.append(float(np.sum(reference(*arguments[:index], moved, *arguments[index + 1 :]))))
        slope[place] = (values[0] - values[1]) / (2 * STEP)
    return slope
