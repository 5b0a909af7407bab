"""How two answers relate: equal, one a multiple of the other, apart by a constant."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Pair = tuple[Any, Any, dict[str, float]]


def close(answer: Any, expected: Any, relative: float, absolute: float = 1e-9) -> bool:
    """Whether two plain values of one form are equal up to rounding; nan equals nan."""
    if isinstance(expected, tuple):
        return all(close(a, e, relative, absolute) for a, e in zip(answer, expected, strict=True))
    try:
        a, e = np.asarray(answer, float), np.asarray(expected, float)
    except (TypeError, ValueError):
        return bool(answer == expected)
    if a.shape != e.shape:
        return False
    # Rounding grows with the largest number in a sum, so small entries are measured by it as well.
    scale = np.abs(e[np.isfinite(e)]).max(initial=0.0)
    return bool(np.allclose(a, e, rtol=relative, atol=absolute + 1e-3 * relative * scale, equal_nan=True))


def not_finite(answer: Any, expected: Any) -> bool:
    """Whether an answer is nan or infinite where a finite number is expected."""
    if isinstance(expected, tuple):
        return any(not_finite(a, e) for a, e in zip(answer, expected, strict=True))
    try:
        a, e = np.asarray(answer, float), np.asarray(expected, float)
    except (TypeError, ValueError):
        return False
    return bool((~np.isfinite(a) & np.isfinite(e)).any())


def named(pairs: Sequence[Pair]) -> str | None:
    """A sentence, if every answer is a multiple of the expected one by a factor with a name, or apart by a constant.

    Each pair has the answer, what was expected, and factors by name: {"the number of classes": 3.0}.
    """
    ratios = [_ratio(answer, expected) for answer, expected, _ in pairs]
    if any(ratio is None for ratio in ratios):
        return _apart(pairs)
    fractions = [ratio for ratio in ratios if ratio is not None]
    every = [
        {"-1": -1.0, "2": 2.0, "1/2": 0.5, "ln 2": math.log(2), "1 / ln 2 (a logarithm to base 2)": 1 / math.log(2)}
        | _with_inverses(factors)
        for _, _, factors in pairs
    ]
    for name in every[0]:
        if all(math.isclose(f, possible[name], rel_tol=1e-4) for f, possible in zip(fractions, every, strict=True)):
            sign = " The sign is the wrong way round." if name == "-1" else ""
            return f"Yours is the right answer times {name}, in every plain case.{sign}"
    many = len(pairs) > 1 or np.size(pairs[0][1]) > 1  # one number is always a multiple of another
    if many and all(math.isclose(f, fractions[0], rel_tol=1e-4) for f in fractions):
        return f"Yours is {fractions[0]:.4g} times the right answer, in every plain case."
    if len(fractions) > 1 and all(np.size(expected) > 1 for _, expected, _ in pairs):
        first, second = fractions[:2]
        return (
            f"Yours is a multiple of the right answer, but not always the same: {first:.3g} times, then {second:.3g}."
        )
    return None


def nearly(pairs: Sequence[tuple[Any, Any]]) -> str | None:
    """A sentence, if all answers are right but for a small error, as precision that was lost makes it."""
    worst = 0.0
    for answer, expected in pairs:
        if isinstance(expected, tuple):
            return None
        a, e = np.asarray(answer, float), np.asarray(expected, float)
        size = float(np.abs(e).max(initial=0))
        if not np.isfinite(a).all() or not size > 0:
            return None
        worst = max(worst, float(np.abs(a - e).max()) / size)
    if worst > 3e-3:
        return None
    return (
        f"It is nearly right: off by {worst:.0e} of its size at most. Precision is lost on the way: by a type of fewer "
        f"digits, by a number added inside a logarithm, by rounding, or by a search that ends too early."
    )


def one_sided(pairs: Sequence[tuple[Any, Any]]) -> str | None:
    """A sentence, if all answers are too large, or all too small."""
    gaps = []
    for answer, expected in pairs:
        if isinstance(expected, tuple):
            return None
        gaps.append((np.asarray(answer, float) - np.asarray(expected, float)).ravel())
    gap = np.concatenate(gaps)
    if (gap > -1e-12).all():
        return (
            "Yours is never too small and often too large: something is counted that should not be, or counted twice."
        )
    if (gap < 1e-12).all():
        return "Yours is never too large and often too small: something is missing."
    return None


def partly(pairs: Sequence[tuple[Any, Any]], relative: float) -> str | None:
    """A sentence about which entries are wrong, if that is the same in all pairs of arrays."""
    found = None
    for answer, expected in pairs:
        if not isinstance(expected, np.ndarray) or expected.ndim == 0 or len(expected) < 2:
            continue
        a, e = np.asarray(answer, float), np.asarray(expected, float)
        wrong = ~np.isclose(a, e, rtol=relative, atol=1e-9, equal_nan=True)
        rows = wrong.reshape(len(wrong), -1).any(axis=1)
        square = wrong.ndim == 2 and wrong.shape[0] == wrong.shape[1]
        here = {
            "the first row": not rows[1:].any(),
            "the last row": not rows[:-1].any(),
            "the diagonal": square and not wrong[~np.eye(len(wrong), dtype=bool)].any(),
            "the last column": wrong.ndim == 2 and not wrong[:, :-1].any(),
            "the first column": wrong.ndim == 2 and not wrong[:, 1:].any(),
        }
        now = {name for name, holds in here.items() if holds}
        found = now if found is None else found & now
    return f"All is right but {min(found)}." if found else None


def _with_inverses(factors: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in factors.items():
        found |= {name: value, f"1 / {name}": 1 / value}
        found |= {f"minus {name}": -value, f"-1 / {name}": -1 / value}
    names = list(factors)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = factors[one], factors[other]
            found |= {f"{one} and {other}": a * b, f"1 / ({one} and {other})": 1 / (a * b), f"{one} / {other}": a / b}
            found[f"{other} / {one}"] = b / a
    return found


def _ratio(answer: Any, expected: Any) -> float | None:
    """answer / expected, if it is one number for all entries, and not 0 or 1."""
    if isinstance(expected, tuple):
        return None
    try:
        a, e = np.asarray(answer, float), np.asarray(expected, float)
    except (TypeError, ValueError):
        return None
    weight = float((e * e).sum())
    if not np.isfinite(a).all() or not weight > 0:
        return None
    ratio = float((a * e).sum()) / weight
    fits = np.allclose(a, ratio * e, rtol=1e-4, atol=1e-6 * math.sqrt(weight))
    return ratio if fits and abs(ratio) > 1e-9 and not math.isclose(ratio, 1, rel_tol=1e-5) else None


def _apart(pairs: Sequence[Pair]) -> str | None:
    differences = []
    for answer, expected, _ in pairs:
        if isinstance(expected, tuple) or np.size(expected) < 2 or not np.isfinite(np.asarray(answer, float)).all():
            return None
        gap = np.asarray(answer, float) - np.asarray(expected, float)
        if np.ptp(gap) > 1e-6 * max(1.0, float(np.abs(gap).max())):
            return None
        differences.append(float(gap.flat[0]))
    return f"Every entry of yours is off by the same number, {differences[0]:.4g} in the first case."
