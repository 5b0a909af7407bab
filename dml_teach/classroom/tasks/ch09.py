"""Exercise 09: a loss for images without labels, wrong labels on purpose, a comparison that is honest."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom import slow
from dml_teach.classroom.calling import Caller
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Mistake, Refused, Task

# --- semi_supervised_loss ---


def half_labelled(
    logits: Array,
    peer_logits: Array,
    labels: Array,
    by_all: bool = False,
    with_labels_only: bool = False,
    without_labels_only: bool = False,
    last_class: bool = False,
    class_0: bool = False,
    swapped: bool = False,
    over_classes: bool = False,
    summed: bool = False,
    labels_alone: bool = False,
    pseudo: bool = False,
    by_share: bool = False,
) -> float:
    """The labelled images' mean -ln p and all images' mean divergence."""
    if pseudo:
        labels = np.where(labels < 0, peer_logits.argmax(axis=1), labels)
    have = [b for b, y in enumerate(labels) if y >= 0 or last_class or class_0]
    clean = np.array([max(y, 0) if class_0 else y for y in labels])
    paid = [slow.of_labels(logits[b : b + 1], clean[b : b + 1])[0] for b in have]
    supervised = math.fsum(paid) / (1 if summed else len(labels) if by_all else max(len(have), 1))
    apart = slow.divergences(logits, peer_logits) if swapped else slow.divergences(peer_logits, logits)
    heard = list(range(len(labels)))
    heard = [b for b in heard if labels[b] >= 0] if with_labels_only else heard
    heard = [b for b in heard if labels[b] < 0] if without_labels_only else heard
    mimicry = math.fsum(apart[b] for b in heard) / (1 if summed else max(len(heard), 1))
    mimicry /= logits.shape[1] if over_classes else 1
    if by_share:
        share = len(have) / len(labels)
        return np.float64(share * supervised + (1 - share) * mimicry)
    return np.float64(supervised + (0.0 if labels_alone else mimicry))


def half_labelled_cases(rng: np.random.Generator) -> list[Case]:
    """Two logits and labels some of which are -1."""
    small = ([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    found = [Case((slow.tensor(small[0]), slow.tensor(small[1]), torch.tensor([0, -1])))]
    for b, c, missing, says in (
        (5, 3, 3, ""),
        (6, 4, 2, ""),
        (8, 7, 5, ""),
        (4, 3, 0, "a batch in which all images have labels"),
        (4, 3, 4, "a batch without any label"),
        (1, 4, 1, "a batch of one image that has no label"),
    ):
        labels = slow.labels_for(rng, b, c)
        labels[torch.tensor(rng.permutation(b)[:missing], dtype=torch.int64)] = -1
        found.append(Case((slow.draw(rng, b, c), slow.draw(rng, b, c), labels), says))
    some = torch.tensor([2, -1, 0])
    found.append(Case((slow.extreme(rng, 3, 4), -slow.extreme(rng, 3, 4), some), slow.EXTREME))
    single = (slow.draw(rng, 3, 4, dtype=torch.float32), slow.draw(rng, 3, 4, dtype=torch.float32))
    return [*found, Case((*single, some), slow.SINGLE)]


SEMI = Task(
    name="semi_supervised_loss",
    exercise="09",
    arguments=("logits", "peer_logits", "labels"),
    examinations=[
        Values(
            half_labelled_cases,
            half_labelled,
            mistakes=[
                Mistake(
                    "Images without a label get the peer's first choice for one; here they have none.", pseudo=True
                ),
                Mistake("The two parts are weighed by their shares of images; each has the weight 1.", by_share=True),
                Mistake(
                    "The cross-entropy is divided by all images; its mean goes over those that have a label, else "
                    "labels count for less the fewer there are.",
                    by_all=True,
                ),
                Mistake(
                    "The divergence counts only where there is a label. It needs none: that is the point.",
                    with_labels_only=True,
                ),
                Mistake(
                    "The divergence counts only where there is no label; it counts on all images.",
                    without_labels_only=True,
                ),
                Mistake("A label of -1 is taken for a class: as an index it names the *last* one.", last_class=True),
                Mistake("A label of -1 is taken for class 0.", class_0=True),
                Mistake("The divergence is the wrong way round: the peer stands in front.", swapped=True),
                Mistake("The divergence is a mean over the classes too, C times too weak.", over_classes=True),
                Mistake("Both parts are means, not sums.", summed=True),
                Mistake("The peer is not heard at all.", labels_alone=True),
            ],
            learns=("logits",),
            targets=("peer_logits",),
            target_says="The peer is a target: detach it.",
            factors={"the number of images": lambda z, *_: len(z), "the number of classes": lambda z, *_: z.shape[1]},
        )
    ],
    hints=(
        "Two parts with two different numbers of images in them. Which images does each part go over, and what if "
        "there are none?",
        "The mean of an empty set is nan. Sum, and divide by the number of labelled images, or by 1 if there is none.",
        "F.cross_entropy has ignore_index; with reduction='sum' you can divide by what you have counted. The "
        "divergence goes over all images, with the peer detached.",
    ),
    library=("losses.cross_entropy", "losses.kl_divergence", "losses.mimicry"),
)

# --- wrong_labels ---


def spoilt(call: Caller, rng: np.random.Generator) -> int:
    """Count what becomes of labels."""
    cases = [(1000, 4, 0.25, ""), (2000, 5, 0.5, ""), (10, 3, 0.4, ""), (50, 2, 0.5, "two classes")]
    cases += [
        (200, 3, 0.0, "share 0"),
        (200, 3, 1.0, "share 1"),
        (7, 3, 0.5, "a share that is no whole number of labels"),
    ]
    for many, classes, share, says in cases:
        labels = slow.labels_for(rng, many, classes)
        seed = int(rng.integers(1 << 30))
        found = [call((labels, classes, share, torch.Generator().manual_seed(s)), says) for s in (seed, seed, seed + 1)]
        for one in found:
            _is_spoilt(one, labels, classes, share, f", with {says}" if says else "")
        if not torch.equal(found[0], found[1]):
            raise Refused("With the same generator it gives other labels. All chance has to come from `generator`.")
        if many > 40 and 0 < share < 1 and torch.equal(found[0], found[2]):
            raise Refused("With another generator it gives the same labels: it does not draw from `generator`.")
    return len(cases)


def _is_spoilt(found: Any, labels: Tensor, classes: int, share: float, where: str) -> None:
    if not isinstance(found, Tensor) or found.shape != labels.shape:
        raise Refused(f"It is to return a tensor of {len(labels)} labels{where}.")
    if found.dtype != torch.int64:
        raise Refused(f"Labels are int64, yours are {str(found.dtype).removeprefix('torch.')}.")
    if int(found.min()) < 0 or int(found.max()) >= classes:
        raise Refused(f"There are labels outside 0 to {classes - 1}{where}.")
    changed = (found != labels).nonzero().flatten()
    wanted = round(share * len(labels))
    if len(changed) != wanted:
        raise Refused(_of_count(len(changed), wanted, len(labels), classes, where))
    if 100 < wanted < len(labels):
        _spread(changed, len(labels))
        _by_class(labels[changed], found[changed], classes)


def _of_count(changed: int, wanted: int, many: int, classes: int, where: str) -> str:
    said = f"{changed} of {many} labels are wrong, and it should be exactly {wanted}{where}."
    if many >= 500 and abs(changed - wanted * (classes - 1) / classes) < 0.05 * wanted:
        return (
            f"{said} Some have been drawn anew and came out right: one in {classes} does, if all classes may come. A "
            f"wrong label has to be another one than the right one."
        )
    twice = many * (1 - (1 - 1 / many) ** wanted)  # different places among `wanted` draws
    if many >= 500 and abs(changed - twice) < 0.03 * wanted:
        return f"{said} Some places have been drawn twice: draw without putting back (randperm)."
    if many >= 500 and abs(changed - wanted) < 0.15 * wanted:
        return f"{said} If each label throws its own dice, their number varies: draw *which* ones, so many of them."
    return f"{said} (Rounded to the nearest whole number.)" if abs(changed - wanted) == 1 else said


def _spread(changed: Tensor, many: int) -> None:
    """Wrong labels lie everywhere: their mean place is the middle, up to five standard errors."""
    middle = float(changed.double().mean()) / many
    if abs(middle - 0.5) > 5 * math.sqrt(1 / 12 / len(changed)):
        raise Refused("The wrong labels all stand near one end. Sets are often sorted: draw at random which ones.")


def _by_class(right: Tensor, wrong: Tensor, classes: int) -> None:
    """All wrong classes come alike, up to five standard errors."""
    pairs = Counter(zip(right.tolist(), wrong.tolist(), strict=True))
    for a in range(classes):
        total = int((right == a).sum())
        expected = total / (classes - 1)
        for b in range(classes):
            if a != b and abs(pairs[a, b] - expected) > 5 * math.sqrt(expected) + 2:
                raise Refused(
                    f"Of {total} labels {a} that were made wrong {pairs[a, b]} became {b}; with {classes - 1} wrong "
                    f"classes "
                    f"alike it would be about {expected:.0f}. Every wrong class is to be as likely as any other."
                )


SPOILT = Task(
    name="wrong_labels",
    exercise="09",
    arguments=("labels", "classes", "share", "generator"),
    examinations=[spoilt],
    hints=(
        "Two draws: which labels, and into what. How many, exactly? And what if the new label is the old one by "
        "chance?",
        "torch.randperm with the generator gives the places. For the new label draw by how much it moves, not where "
        "to.",
        "A shift from 1 to classes - 1, added modulo classes, never gives the old label and gives all others alike. "
        "Work on a copy.",
    ),
)

# --- mended_comparison ---


def compared(
    mutual: Array,
    alone: Array,
    best: bool = False,
    unpaired: bool = False,
    biased: bool = False,
    spread: bool = False,
    exchanged: bool = False,
    over_epochs: bool = False,
    interval: bool = False,
    zero_for_one: bool = False,
    first_epoch: bool = False,
    squared: bool = False,
    relative: bool = False,
    last_few: bool = False,
) -> tuple[float, float]:
    """Seed by seed: last epoch, difference; mean and its standard error."""

    def of(run: Sequence[float]) -> float:
        if last_few:
            return sum(run[-3:]) / len(run[-3:])
        return max(run) if best else run[0] if first_epoch else sum(run) / len(run) if over_epochs else run[-1]

    a, b = [of(run) for run in mutual.tolist()], [of(run) for run in alone.tolist()]
    gaps, seeds = [x - y for x, y in zip(a, b, strict=True)], len(a)

    def variance(values: Sequence[float]) -> float:
        mean, free = math.fsum(values) / len(values), len(values) - (0 if biased else 1)
        total = math.fsum((v - mean) ** 2 for v in values)
        return total / free if free else 0.0 if zero_for_one else math.nan

    error = math.sqrt((variance(a) + variance(b)) if unpaired else variance(gaps))
    error = error / (1 if spread else math.sqrt(seeds)) * (1.96 if interval else 1)
    error = error**2 if squared else error
    return (-1 if exchanged else 1) * math.fsum(gaps) / (math.fsum(b) if relative else seeds), error


def comparison_cases(rng: np.random.Generator) -> list[Case]:
    """Test accuracies (S, E) of S seeds in E epochs; both trainings of a seed have much in common."""
    found = [
        Case((slow.tensor([[0.5, 0.75, 0.75], [0.5, 1.0, 0.5]]), slow.tensor([[0.25, 0.5, 0.5], [0.5, 0.75, 0.5]])))
    ]
    for seeds, epochs, says in (
        (5, 6, ""),
        (3, 10, ""),
        (8, 4, ""),
        (1, 5, "a single seed, which says nothing about chance"),
        (4, 1, "a single epoch"),
    ):
        luck = rng.normal(0, 0.05, (seeds, 1))
        curve = 0.7 - 0.3 * np.exp(-np.arange(epochs)) + luck
        runs = [slow.tensor(curve + gain + rng.normal(0, 0.01, (seeds, epochs))) for gain in (0.01, 0.0)]
        found.append(Case(tuple(runs), says))
    single = slow.draw(rng, 3, 4, dtype=torch.float32), slow.draw(rng, 3, 4, dtype=torch.float32)
    return [*found, Case(single, slow.SINGLE)]


COMPARISON = Task(
    name="mended_comparison",
    exercise="09",
    arguments=("mutual", "alone"),
    examinations=[
        Values(
            comparison_cases,
            compared,
            mistakes=[
                Mistake("That is the square of the standard error.", squared=True),
                Mistake("The gain is divided by the baseline; wanted is the plain difference.", relative=True),
                Mistake("You take the mean of the last epochs; the last one alone counts.", last_few=True),
                Mistake(
                    "You take each run's best epoch, which was chosen on the test set: that flatters whoever has the "
                    "noisier curve. Take the last.",
                    best=True,
                ),
                Mistake(
                    "The two trainings of a seed share weights and batches; treat them as pairs. The standard error "
                    "is that of the differences, not of two separate groups.",
                    unpaired=True,
                ),
                Mistake("The variance is divided by S; with so few seeds it must be S - 1.", biased=True),
                Mistake(
                    "That is the standard deviation of the differences. The standard error of their mean is smaller "
                    "by sqrt(S).",
                    spread=True,
                ),
                Mistake("The difference is the wrong way round: mutual minus alone.", exchanged=True),
                Mistake("You take the mean over all epochs; the last one counts.", over_epochs=True),
                Mistake(
                    "That is an interval's half-width, 1.96 times the standard error; wanted is the standard error "
                    "itself.",
                    interval=True,
                ),
                Mistake(
                    "For a single seed you return 0. One seed says nothing about chance, so its standard error is "
                    "not known: nan.",
                    zero_for_one=True,
                ),
                Mistake("You take the first epoch; the last one counts.", first_epoch=True),
            ],
            parts=("difference", "standard error"),
        )
    ],
    hints=(
        "Two faults in what is compared, one in how sure one can be of it. Which epoch may be reported? What do the "
        "two runs of a seed share?",
        "Form one number for each seed first. Then it is the mean of S numbers, and its standard error.",
        "Last epoch, difference, mean; standard deviation with S - 1, over sqrt(S). With S = 1 that is 0 / 0, and "
        "nan is the honest answer.",
    ),
    library=("comparison.paired",),
)

TASKS = (SEMI, SPOILT, COMPARISON)
