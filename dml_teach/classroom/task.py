"""What a task of an exercise is made of, and how a check says no."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    """A property of the student's function fails. The message says which one, to the student."""


class Unwritten(Refused):
    """The function still raises NotImplementedError."""


@dataclass(frozen=True)
class Case:
    """One call: the arguments, and what is special about them ("a batch of one image"); nothing in a plain case."""

    arguments: tuple[Any, ...]
    says: str = ""


class Mistake:
    """A typical mistake: what one says to it, and the flags with which the reference makes it.

    ``Mistake("You took the mean over the classes too.", over_classes=True)``: an answer that equals
    ``reference(..., over_classes=True)`` wherever it is wrong gets this message.
    """

    def __init__(self, says: str, **flags: Any) -> None:
        self.says = says
        self.flags = flags


@dataclass(frozen=True)
class Law:
    """Something that any right answer obeys: `holds(answer, *arguments)`, and what to say to an answer that does not.

    Laws speak when no mistake is recognised.
    """

    holds: Callable[..., bool]
    says: str


@dataclass(frozen=True)
class Task:
    """A function that students write, and all that is needed to judge it.

    Attributes:
        name: of the function.
        exercise: number of the chapter, "04".
        arguments: names of the arguments, in order.
        examinations: each is given a `calling.Caller` of the function and a NumPy generator, and raises `Refused` where
            a property fails; it returns how many cases it tried.
        hints: three, from "look there" to "what remains is to write it down"; never the answer.
        library: what of the library does the task's work and may not be called, "losses.kl_divergence".
        prepare: done before the clock starts.
    """

    name: str
    exercise: str
    arguments: tuple[str, ...]
    examinations: Sequence[Callable[..., int]]
    hints: tuple[str, str, str]
    library: tuple[str, ...] = ()
    prepare: Callable[[], object] | None = None
