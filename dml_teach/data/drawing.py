"""Drawing with whole numbers alone, so that a seed fixes every pixel on every processor.

A canvas has its own units: the picture is 640 of them high, whatever its pixels, and x = 0 is its middle. Shapes are
painted three times finer than the pixels and averaged at the end, which gives soft edges.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
import torch

HEIGHT = 640  # units
FINER = 2
ONE = 256  # factors are counted in 256ths

Choice = TypeVar("Choice")
Colour = tuple[int, int, int]
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]  # x (1, w) and y (h, 1) in units -> where it is (h, w) bool


class Dice:
    """Chance as a drawing needs it, from one generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both of them possible."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def chance(self, percent: int) -> bool:
        """True in so many cases of a hundred."""
        return self.between(0, 99) < percent

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """One of them, all alike."""
        return choices[self.between(0, len(choices) - 1)]

    def weighted(self, choices: dict[Choice, int]) -> Choice:
        """One of the keys, as often as its weight says."""
        return self.one_of([choice for choice, weight in choices.items() for _ in range(weight)])


class View(NamedTuple):
    """Where a drawing comes to stand: x -> left + x * across / 256, y -> top + y * down / 256; negative mirrors."""

    left: int = 0
    top: int = 0
    across: int = ONE
    down: int = ONE


class Canvas:
    """A picture being painted; `pixels` (H, W, 3) uint8 is what it shows."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        rows, columns = height * FINER, width * FINER
        self.fine = np.zeros((rows, columns), np.uint8)  # numbers of colours
        self.colours: list[Colour] = [(0, 0, 0)]
        self.y, self.x, self.rows, self.columns = units(height, width)
        self.view = View()

    def pixels(self) -> np.ndarray:
        """The picture (H, W, 3) uint8: the mean of the fine pixels, rounded."""
        height, width = self.size
        fine = np.array(self.colours, np.int16)[self.fine].reshape(height, FINER, width, FINER, 3)
        sums = np.zeros((height, width, 3), np.int16)
        for part in range(FINER**2):
            sums += fine[:, part // FINER, :, part % FINER]
        return ((2 * sums + FINER**2) // (2 * FINER**2)).astype(np.uint8)

    def box(
        self, left: int, top: int, right: int, bottom: int, colour: Colour, *patterns: tuple[Pattern, Colour]
    ) -> None:
        """A rectangle with upright sides."""
        (x0, y0), (x1, y1) = self._placed(left, top), self._placed(right, bottom)
        self._fill((min(x0, x1), y0, max(x0, x1), y1), None, colour, patterns)

    def ellipse(
        self, x: int, y: int, across: int, down: int, colour: Colour, *patterns: tuple[Pattern, Colour]
    ) -> None:
        """An ellipse about (x, y) with these half axes."""
        (x, y), (across, down) = self._placed(x, y), self._scaled(across, down)

        def inside(px: np.ndarray, py: np.ndarray) -> np.ndarray:
            return ((px - x) * down) ** 2 + ((py - y) * across) ** 2 <= (across * down) ** 2

        self._fill((x - across, y - down, x + across, y + down), inside, colour, patterns)

    def polygon(self, corners: Sequence[tuple[int, int]], colour: Colour, *patterns: tuple[Pattern, Colour]) -> None:
        """A convex polygon."""
        points = [self._placed(*corner) for corner in corners]
        edges = list(zip(points, points[1:] + points[:1], strict=True))
        turn = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in edges)

        def inside(px: np.ndarray, py: np.ndarray) -> np.ndarray:
            found = np.ones((len(py), px.shape[1]), bool)
            for (x0, y0), (x1, y1) in edges:
                side = (x1 - x0) * (py - y0) - (y1 - y0) * (px - x0)
                found &= side >= 0 if turn > 0 else side <= 0
            return found

        xs, ys = zip(*points, strict=True)
        self._fill((min(xs), min(ys), max(xs), max(ys)), inside, colour, patterns)

    def limb(
        self,
        start: tuple[int, int],
        end: tuple[int, int],
        radius: int,
        colour: Colour,
        *patterns: tuple[Pattern, Colour],
    ) -> None:
        """A line with round ends, `radius` to each side."""
        (x0, y0), (x1, y1) = self._placed(*start), self._placed(*end)
        radius = self._scaled(radius, radius)[0]
        dx, dy = x1 - x0, y1 - y0
        length = max(1, dx * dx + dy * dy)

        def inside(px: np.ndarray, py: np.ndarray) -> np.ndarray:
            along = np.clip((px - x0) * dx + (py - y0) * dy, 0, length)
            # Distance from the nearest point of the line, times the square of the line's length.
            across = (px - x0) * length - along * dx, (py - y0) * length - along * dy
            return (across[0] // 16) ** 2 + (across[1] // 16) ** 2 <= (radius * length // 16) ** 2

        box = (min(x0, x1) - radius, min(y0, y1) - radius, max(x0, x1) + radius, max(y0, y1) + radius)
        self._fill(box, inside, colour, patterns)

    def _placed(self, x: int, y: int) -> tuple[int, int]:
        view = self.view
        return view.left + x * view.across // ONE, view.top + y * view.down // ONE

    def _scaled(self, across: int, down: int) -> tuple[int, int]:
        return max(1, across * abs(self.view.across) // ONE), max(1, down * self.view.down // ONE)

    def _fill(
        self,
        box: tuple[int, int, int, int],
        inside: Pattern | None,
        colour: Colour,
        patterns: Sequence[tuple[Pattern, Colour]],
    ) -> None:
        """Paint the pixels in `box` (left, top, right, bottom) of which `inside` says so; None is all of them."""
        left, right = bisect_left(self.columns, box[0]), bisect_right(self.columns, box[2])
        top, bottom = bisect_left(self.rows, box[1]), bisect_right(self.rows, box[3])
        if left >= right or top >= bottom:
            return
        x, y, part = self.x[:, left:right], self.y[top:bottom], self.fine[top:bottom, left:right]
        mask = inside(x, y) if inside else np.True_
        np.copyto(part, self._number(colour), where=mask)
        if patterns:
            view = self.view
            own_x, own_y = (x - view.left) * ONE // view.across, (y - view.top) * ONE // view.down
            for pattern, second in patterns:
                np.copyto(part, self._number(second), where=mask & pattern(own_x, own_y))

    def _number(self, colour: Colour) -> np.uint8:
        if colour not in self.colours:
            self.colours.append(colour)
        return np.uint8(self.colours.index(colour))


@lru_cache(maxsize=8)
def units(height: int, width: int) -> tuple[np.ndarray, np.ndarray, list[int], list[int]]:
    """The unit in which the middle of each fine pixel lies: y (rows, 1) and x (1, columns), and both as plain lists."""
    rows, columns = height * FINER, width * FINER
    y = (2 * np.arange(rows, dtype=np.int64) + 1) * HEIGHT // (2 * rows)
    x = (2 * np.arange(columns, dtype=np.int64) + 1 - columns) * HEIGHT // (2 * rows)
    return y[:, None], x[None], y.tolist(), x.tolist()


def shade(colour: Colour, percent: int) -> Colour:
    """A colour made darker (below 100) or lighter."""
    red, green, blue = (min(255, part * percent // 100) for part in colour)
    return red, green, blue
