"""Timing two things against each other, for all benchmarks.

Both are timed in turns, so that whatever else the machine does meets both alike; what is reported is the ratio of each
round, as the median over the rounds with its spread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

Step = Callable[[], object]


class Ratio(NamedTuple):
    """How many times as long one thing takes as another.

    Attributes:
        median, low, high: of the rounds' ratios.
        seconds: of one step of each, the medians over the rounds.
        spread: of the first thing's seconds, the smallest and the largest.
    """

    median: float
    low: float
    high: float
    seconds: tuple[float, float]
    spread: tuple[float, float]

    def __str__(self) -> str:
        digits = 2 if self.median < 10 else 1
        return f"{self.median:.{digits}f} x ({self.low:.{digits}f} to {self.high:.{digits}f})"


def paired(one: Step, other: Step, *, rounds: int, steps: int, other_steps: int | None = None) -> Ratio:
    """Time both in turns, in `rounds` rounds of `steps` steps each (of `other_steps` where the other one is shorter).

    One more round goes before them, to warm up.
    """
    times = [(seconds_a_step(one, steps), seconds_a_step(other, other_steps or steps)) for _ in range(rounds + 1)]
    return ratio(times[1:])


def ratio(times: list[tuple[float, float]]) -> Ratio:
    """The ratio of two things that were timed in turns: the seconds of both in each round."""
    ratios = [a / b for a, b in times]
    firsts, seconds = zip(*times, strict=True)
    return Ratio(
        statistics.median(ratios), min(ratios), max(ratios),
        (statistics.median(firsts), statistics.median(seconds)), (min(firsts), max(firsts)),
    )  # fmt: skip


def seconds_a_step(step: Step, steps: int) -> float:
    """The mean over some steps, including what a GPU still has to do after them."""
    finish()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    finish()
    return (time.perf_counter() - started) / steps


def finish() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def parser(description: str | None, *, rounds: int, steps: int) -> argparse.ArgumentParser:
    """A command line with --rounds and --steps; the script's docstring is its help."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=rounds, help=f"paired rounds (default: {rounds})")
    made.add_argument("--steps", type=int, default=steps, help=f"steps of each in a round (default: {steps})")
    return made
