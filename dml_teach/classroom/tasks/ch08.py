"""Exercise 08, why does it work?: how many second opinions a posterior holds, and noise that was not scaled."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Task

# --- effective_alternatives ---


def alternatives(
    logits: Array,
    with_first: bool = False,
    not_renormalised: bool = False,
    no_exponential: bool = False,
    bits: bool = False,
    all_tied: bool = False,
    inverse_simpson: bool = False,
    without_least: bool = False,
    two_struck: bool = False,
    power_of_two: bool = False,
) -> Array:
    """Image by image: strike out the first choice, renormalise, exponential of the entropy."""
    found = []
    for z in logits:
        top = int(np.argmin(z) if without_least else np.argmax(z))
        p = slow.posteriors(z)
        rest = [m for m in range(len(z)) if m != top or with_first]
        if two_struck:
            rest = [int(m) for m in np.argsort(-z, kind="stable")[2:]] or [top]
        if all_tied:
            rest = [m for m in rest if z[m] != z[top]]
        q = [float(p[m]) for m in rest] if not_renormalised else slow.posteriors(z[rest]).tolist()
        entropy = -math.fsum(x * math.log(x) for x in q if x > 0)
        if bits:
            entropy /= math.log(2)
        number = 2**entropy if power_of_two else math.exp(entropy)
        number = entropy if no_exponential else number
        found.append(1 / math.fsum(x * x for x in q) if inverse_simpson else number)
    return np.array(found)


def alternative_cases(rng: np.random.Generator) -> list[Case]:
    """Logits, and some at which 1 - p of the first choice is rounded to nothing."""
    certain = slow.draw(rng, 3, 5)
    certain[:, 2] += 800
    tie = slow.tensor([[2.0, 2.0, 0.0, 1.0], [1.0, 3.0, 3.0, 3.0]])
    return [
        Case((slow.tensor([[3.0, 0.0, 0.0, 0.0]]),)),
        Case((slow.draw(rng, 2, 3),)),
        Case((slow.draw(rng, 5, 4),)),
        Case((slow.draw(rng, 4, 10),)),
        Case((slow.draw(rng, 1, 5),), slow.ONE_IMAGE),
        Case((slow.draw(rng, 3, 2),), "two classes, where one alternative is left"),
        Case((tie,), "a tie for the first place (strike out one of them)"),
        Case((certain,), "networks so certain that all other probabilities are rounded to 0"),
        Case((slow.extreme(rng, 4, 5),), slow.EXTREME),
        Case((slow.turned(slow.draw(rng, 3, 4)),), slow.TURNED),
        Case((slow.draw(rng, 3, 4, dtype=torch.float32),), slow.SINGLE),
    ]


ALTERNATIVES = Task(
    name="effective_alternatives",
    exercise="08",
    arguments=("logits",),
    examinations=[
        Values(
            alternative_cases,
            alternatives,
            mistakes=[
                Mistake("You raise 2 to the entropy; in nats it is e.", power_of_two=True),
                Mistake("Two classes are struck out; it is the first choice alone.", two_struck=True),
                Mistake("The first choice is still among them.", with_first=True),
                Mistake(
                    "What is left after the first choice does not sum to 1: divide by its sum before you take the "
                    "entropy.",
                    not_renormalised=True,
                ),
                Mistake(
                    "That is the entropy. The number of alternatives is its exponential: e^H equal ones have the "
                    "entropy H.",
                    no_exponential=True,
                ),
                Mistake("The exponential is to base e, so the entropy is in nats, not in bits.", bits=True),
                Mistake("Of several classes that tie for the first place only one is struck out.", all_tied=True),
                Mistake(
                    "That is 1 over the sum of squares, another effective number; here it is the exponential of the "
                    "entropy.",
                    inverse_simpson=True,
                ),
                Mistake("You strike out the least likely class instead of the most likely.", without_least=True),
            ],
            laws=[
                Law(
                    lambda a, z: (a > 1 - 1e-9).all(),
                    "It is at least 1: if a single alternative has everything that is left, that is one.",
                ),
                Law(
                    lambda a, z: (a < z.shape[1] - 1 + 1e-9).all(),
                    "It is at most C - 1: as many as are left, if all are equal.",
                ),
            ],
            factors={"the number of classes": lambda z: z.shape[1]},
        )
    ],
    hints=(
        "Three steps for each image: strike out the largest, make the rest sum to 1, then the exponential of the "
        "entropy. Which of them goes wrong when p of the first is 0.99999999999999999?",
        "Softmax knows no difference between a probability that is struck out and a logit of minus infinity.",
        "Mask the argmax (one place in each row) with -inf, log_softmax again, and let 0 * -inf count as 0.",
    ),
    library=("analysis.posteriors.secondary_mass", "analysis.posteriors.mass_by_rank", "metrics.entropy"),
)

# --- mended_rise ---


def risen(
    loss: Callable[[Any], Any],
    weights: tuple[Array, ...],
    noises: tuple[tuple[Array, ...], ...],
    scale: float,
    absolute: bool = False,
    by_norm: bool = False,
    by_spread: bool = False,
    common: bool = False,
    loss_itself: bool = False,
    piling: bool = False,
    largest: bool = False,
    summed: bool = False,
    first_only: bool = False,
    fallen: bool = False,
    squared: bool = False,
    each_number: bool = False,
    mean_size: bool = False,
    unit_noise: bool = False,
) -> float:
    """Draw by draw, tensor by tensor, from the loss of the weights themselves."""
    whole = math.sqrt(sum(float((w * w).sum()) for w in weights) / sum(w.size for w in weights))
    now, rises = [w.copy() for w in weights], []
    for noise in noises[: 1 if first_only else None]:
        moved = []
        for w, here, e in zip(weights, now, noise, strict=True):
            size = math.sqrt(float((w * w).sum()) / w.size)
            size = float(w.std(ddof=1)) if by_spread else math.sqrt(float((w * w).sum())) if by_norm else size
            size = 1.0 if absolute else whole if common else float(np.abs(w).mean()) if mean_size else size
            e = e / math.sqrt(float((e * e).sum())) if unit_noise else e
            if each_number:
                size, e = 1.0, np.abs(w) * e
            moved.append((here if piling else w) + scale ** (2 if squared else 1) * size * e)
        now = moved
        rises.append(float(loss(moved)) - (0.0 if loss_itself else float(loss(weights))))
    found = max(rises) if largest else sum(rises) if summed else sum(rises) / len(rises)
    return -found if fallen else found


def bowl(weights: Any) -> Any:
    """A loss with its minimum at 1, steeper for later tensors."""
    return sum((i + 1) * ((w - 1) ** 2).sum() for i, w in enumerate(weights))


def crooked(weights: Any) -> Any:
    """A loss that is no parabola."""
    return sum((w**4 / 4 + (i - 1) * w).sum() for i, w in enumerate(weights))


def rise_cases(rng: np.random.Generator) -> list[Case]:
    """A loss, weights, directions of noise, a scale."""
    one = [slow.tensor([3.0, 4.0])], [[slow.tensor([1.0, 0.0])], [slow.tensor([0.0, -1.0])]]
    found = [Case((bowl, *one, 0.5))]
    shapes: list[tuple[int, ...]] = [(3, 2), (3,), (2, 2, 2)]
    for loss, draws, scale, says in (
        (bowl, 3, 0.1, ""),
        (crooked, 4, 0.3, ""),
        (crooked, 2, 1.0, ""),
        (bowl, 1, 0.2, "a single direction of noise"),
        (crooked, 3, 0.0, "scale 0"),
    ):
        weights = [slow.draw(rng, *s, size=float(rng.uniform(0.5, 3))) + 0.5 for s in shapes]
        noises = [[slow.draw(rng, *s, size=1.0) for s in shapes] for _ in range(draws)]
        found.append(Case((loss, weights, noises, scale), says))
    zero = [torch.zeros(3, dtype=torch.float64), slow.draw(rng, 2)]
    return [
        *found,
        Case((bowl, zero, [[slow.draw(rng, 3), slow.draw(rng, 2)]], 0.5), "a tensor of zeros, which stays as it is"),
    ]


RISE = Task(
    name="mended_rise",
    exercise="08",
    arguments=("loss", "weights", "noises", "scale"),
    examinations=[
        Values(
            rise_cases,
            risen,
            mistakes=[
                Mistake("You measure by the mean of |w|; it is the root of the mean of its squares.", mean_size=True),
                Mistake("Each number is shaken by its own size; it is the size of its whole tensor.", each_number=True),
                Mistake("The directions have been scaled to length 1; use them as they are.", unit_noise=True),
                Mistake(
                    "The noise is absolute. It is to be measured by the tensor it falls on, times ||w|| / sqrt(n): "
                    "else a network with larger weights looks flatter.",
                    absolute=True,
                ),
                Mistake(
                    "You scale by the norm ||w||, which grows with the number of weights; the root mean square is "
                    "||w|| / sqrt(n).",
                    by_norm=True,
                ),
                Mistake(
                    "You scale by the standard deviation, which forgets the mean; the root mean square is ||w|| / "
                    "sqrt(n).",
                    by_spread=True,
                ),
                Mistake("You take one root mean square for all tensors; each tensor has its own.", common=True),
                Mistake(
                    "That is the mean loss under noise. The rise is what it has more than the loss without noise.",
                    loss_itself=True,
                ),
                Mistake(
                    "The noise piles up: each draw starts where the last one ended. Each starts from the weights "
                    "themselves.",
                    piling=True,
                ),
                Mistake("That is the largest rise; wanted is the mean over the draws.", largest=True),
                Mistake("That is the sum over the draws; wanted is their mean.", summed=True),
                Mistake("Only the first direction is used.", first_only=True),
                Mistake("The scale counts twice; it stands in the noise once.", squared=True),
                Mistake("The sign is wrong: a rise is the loss with noise minus the loss without.", fallen=True),
            ],
            factors={"the number of draws": lambda f, w, e, s: len(e), "scale": lambda f, w, e, s: s or 2.0},
        )
    ],
    hints=(
        "Three faults: from where each draw starts, how large the noise is, and what is subtracted. And who else "
        "needs those weights?",
        "Two draws of the same direction should give the same rise twice. Doubling all weights of a tensor should "
        "double its noise.",
        "For each draw a new list: w + scale * root mean square of w * e. Loss of it, minus the loss of the weights; "
        "mean over the draws.",
    ),
    library=("analysis.flatness.loss_under_noise", "analysis.flatness.relative_noise", "analysis.flatness.sharpness"),
)


TASKS = (ALTERNATIVES, RISE)
