"""One call of a student's function, watched: what it raises, what it changes that is not its own."""

import copy
import linecache
import random
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom.running import OutOfBounds
from dml_teach.classroom.task import Refused, Unwritten
from dml_teach.classroom.words import shown

PATHS = sysconfig.get_paths()
PACKAGE = str(Path(__file__).resolve().parents[1])
NOT_THEIRS = (*{PATHS[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}, PACKAGE, "<frozen")
CLUES = {
    "a leaf Variable that requires grad": "You change an argument in place; make something new instead.",
    "does not require grad": "What you call backward() on, or take a gradient of, is cut off from its inputs.",
    "Can't call numpy() on Tensor that requires grad": "NumPy would lose the gradient: stay with torch.",
    "modified by an inplace operation": "Something that the gradient still needs was changed in place.",
    "retain_graph": "backward() was called twice through the same part of the graph.",
    "should be the same": "Numbers of two types meet: make new tensors in the type of the arguments.",
    "expected scalar type": "Numbers of two types meet: make new tensors in the type of the arguments.",
    "must have the same dtype": "Numbers of two types meet: make new tensors in the type of the arguments.",
}


class Caller:
    """A student's function, to be called with copies of arguments that it must leave alone."""

    def __init__(
        self, function: Callable[..., Any], name: str, arguments: Sequence[str], signature: str | None = None
    ) -> None:
        self.function = function
        self.name = name
        self.arguments = tuple(arguments)
        self.signature = signature or f"{name}({', '.join(arguments)})"

    def __call__(self, arguments: Sequence[Any], says: str = "") -> Any:
        """The result for copies of these arguments; networks and functions are handed over themselves.

        Raises:
            Refused: the function raises, or changes an argument, a global random number or a setting of PyTorch.
        """
        return self.with_inputs(arguments, says)[0]

    def with_inputs(
        self, arguments: Sequence[Any], says: str = "", wants_gradient: Sequence[str] = ()
    ) -> tuple[Any, dict[str, Any]]:
        """The result, and the copies by name that were handed in."""
        given = [fresh(argument) for argument in arguments]
        by_name = dict(zip(self.arguments, given, strict=True))
        for name in wants_gradient:
            by_name[name].requires_grad_()
        before = _world()
        result = self.guarded(lambda: self.function(*given), self._described(arguments, says))
        self._unchanged(before)
        for name, now, then in zip(self.arguments, given, arguments, strict=True):
            if not same(now, then):
                raise Refused(
                    f"It changes its argument `{name}` in place. Whoever called it still needs that: the second peer "
                    f"would get something else than the first. Compute something new instead (methods that end in _, "
                    f"`+=` and assignments to `{name}[...]` change what they are used on)."
                )
        return result, by_name

    def guarded(self, call: Callable[[], Any], situation: str = "") -> Any:
        """Call something of the student's; what it raises becomes a refusal."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return call()
        except (OutOfBounds, Refused):
            raise
        except NotImplementedError as error:
            if _is_a_stub(error):
                raise Unwritten("Not written yet.") from None
            raise Refused(self.of_error(error, situation)) from None
        except (SystemExit, KeyboardInterrupt):
            raise Refused("It ends the program (exit, quit) instead of returning something.") from None
        except Exception as error:
            raise Refused(self.of_error(error, situation)) from None

    def of_error(self, error: BaseException, situation: str) -> str:
        """An exception in two lines: what it says, and where in the student's own code it came up."""
        said = " ".join(str(error).split())
        said = f"{type(error).__name__}: {said[:280]}{'…' if len(said) > 280 else ''}"
        frames = own_frames(error)
        if not frames:
            return f"It can not be called as `{self.signature}`. {said}"
        where = "; ".join(f"line {f.lineno}, in {f.name}: `{(f.line or '?').strip()[:100]}`" for f in frames[-2:])
        clue = next((f" {text}" for key, text in CLUES.items() if key in str(error)), "")
        return f"It raises an error{situation}. {said}\n{where}.{clue}"

    def _described(self, arguments: Sequence[Any], says: str) -> str:
        if not self.signature.endswith(f"({', '.join(self.arguments)})"):  # adapted: these arguments are not theirs
            return f" with {says}" if says else ""
        shapes = ", ".join(f"{n} {shown(a)}" for n, a in zip(self.arguments, arguments, strict=True))
        return f" with {says} ({shapes})" if says else f" ({shapes})"

    def _unchanged(self, before: dict[str, Any]) -> None:
        for what, now in _world().items():
            if not _equal(now, before[what]):
                raise Refused(
                    f"It changes {what}, and everybody else in the program would notice. "
                    + (
                        "Draw from the generator that is passed in, if there is one; this task needs no other chance. "
                        "(A DataLoader draws one number whenever it starts.)"
                        if "random" in what
                        else "Use a `with` block, which puts it back."
                    )
                )


def fresh(argument: Any) -> Any:
    """A copy: equal, apart, of the same layout."""
    if isinstance(argument, Tensor):
        return argument.detach().clone(memory_format=torch.preserve_format)
    if isinstance(argument, torch.Generator):
        return torch.Generator().set_state(argument.get_state())
    if isinstance(argument, list | tuple):
        return type(argument)(fresh(part) for part in argument)
    return argument if callable(argument) else copy.deepcopy(argument)


def same(now: Any, then: Any) -> bool:
    """Whether an argument is as it was; a generator may have moved on."""
    if isinstance(then, Tensor):
        with torch.no_grad():
            return now.shape == then.shape and bool(torch.equal(now.nan_to_num(), then.nan_to_num()))
    if isinstance(then, list | tuple):
        return len(now) == len(then) and all(map(same, now, then))
    return True if callable(then) or isinstance(then, torch.Generator) else bool(now == then)


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The steps of a traceback that lie in the student's own code."""
    linecache.checkcache()
    steps = traceback.extract_tb(error.__traceback__)
    return [step for step in steps if not step.filename.startswith(NOT_THEIRS)]


def _is_a_stub(error: NotImplementedError) -> bool:
    """Whether the student's own code raises it, and not something that PyTorch can not do."""
    frames = own_frames(error)
    return type(error) is NotImplementedError and bool(frames) and (frames[-1].line or "raise").startswith("raise")


def _world() -> dict[str, Any]:
    numpy: Any = np.random.get_state()
    return {
        "the global random numbers of PyTorch": torch.get_rng_state(),
        "the global random numbers of NumPy": numpy[1:3],
        "the global random numbers of Python": random.getstate(),
        "whether PyTorch records gradients": torch.is_grad_enabled(),
        "PyTorch's default type": torch.get_default_dtype(),
    }


def _equal(now: Any, then: Any) -> bool:
    if isinstance(now, Tensor):
        return bool(torch.equal(now, then))
    if isinstance(now, tuple) and isinstance(now[0], np.ndarray):
        return bool((now[0] == then[0]).all()) and now[1] == then[1]
    return bool(now == then)
