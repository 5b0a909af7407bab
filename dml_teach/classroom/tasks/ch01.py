"""Exercise 01, one network: what pulls at a logit when labels are smoothed, and an evaluation with three faults."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.networks import Linear
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Refused, Task

# --- smoothed_pull ---


def pulled(
    logits: Array,
    labels: Array,
    smoothing: float,
    unsmoothed: bool = False,
    others_only: bool = False,
    unevenly: bool = False,
    summed: bool = False,
    over_classes: bool = False,
    upside_down: bool = False,
    labels_alone: bool = False,
    across: bool = False,
    no_even: bool = False,
    smoothed_posterior: bool = False,
) -> Array:
    """Image by image, class by class."""
    p = slow.posteriors(logits.T).T if across else slow.posteriors(logits)
    images, classes = p.shape
    found = np.zeros_like(p)
    for b in range(images):
        for c in range(classes):
            right = c == labels[b]
            target = (1 - smoothing) * right + smoothing / classes
            if unsmoothed:
                target = float(right)
            if others_only:
                target = 1 - smoothing if right else smoothing / (classes - 1)
            if unevenly:
                target = float(right) + smoothing / classes
            target = (1 - smoothing) * right if no_even else target
            own = (1 - smoothing) * p[b, c] + smoothing / classes if smoothed_posterior else p[b, c]
            found[b, c] = (0 if labels_alone else own) - (float(right) if smoothed_posterior else target)
    found /= (1 if summed else images) * (classes if over_classes else 1)
    return -found if upside_down else found


def pull_cases(rng: np.random.Generator) -> list[Case]:
    """Logits, labels, how much they are smoothed."""
    zero = torch.zeros(1, 4, dtype=torch.float64)
    found = [Case((zero, torch.tensor([2]), 0.4))]
    for images, classes, share in ((2, 3, 0.3), (5, 3, 0.1), (4, 7, 0.5)):
        found.append(Case((slow.draw(rng, images, classes), slow.labels_for(rng, images, classes), share)))
    one, two = slow.draw(rng, 1, 5), slow.draw(rng, 3, 2)
    special = [
        (one, 0.2, slow.ONE_IMAGE),
        (two, 0.2, "two classes"),
        (slow.draw(rng, 3, 4), 0.0, "no smoothing at all"),
    ]
    special += [(slow.extreme(rng, 3, 4), 0.1, slow.EXTREME), (slow.turned(slow.draw(rng, 3, 4)), 0.1, slow.TURNED)]
    special += [(slow.draw(rng, 3, 4, dtype=torch.float32), 0.1, slow.SINGLE)]
    return found + [Case((z, slow.labels_for(rng, *z.shape), s), says) for z, s, says in special]


PULL = Task(
    name="smoothed_pull",
    exercise="01",
    arguments=("logits", "labels", "smoothing"),
    examinations=[
        Values(
            pull_cases,
            pulled,
            mistakes=[
                Mistake("The labels are not smoothed: this is p minus the one-hot label.", unsmoothed=True),
                Mistake(
                    "The smoothing is shared among the wrong classes alone, s / (C - 1) each. Here every class gets "
                    "s / C, the right one too.",
                    others_only=True,
                ),
                Mistake(
                    "The target sums to 1 + s: what all classes are given must be taken from the right one, which "
                    "keeps 1 - s + s / C.",
                    unevenly=True,
                ),
                Mistake(
                    "It is the sum over the batch; the loss is the mean over the images, so divide by B.", summed=True
                ),
                Mistake(
                    "It is divided by the number of classes too; the mean goes over the images alone.",
                    over_classes=True,
                ),
                Mistake(
                    "The sign is wrong: the gradient is posterior minus target, and descent subtracts it.",
                    upside_down=True,
                ),
                Mistake("The posterior is missing: only the target is there.", labels_alone=True),
                Mistake(
                    "The right class has lost s, but nobody has got it: every class, the right one too, gets s / C.",
                    no_even=True,
                ),
                Mistake("You smooth the posterior; it is the label that is smoothed.", smoothed_posterior=True),
                Mistake("The softmax runs over the images instead of the classes (dim=0).", across=True),
            ],
            laws=[
                Law(
                    lambda answer, *_: np.abs(answer.sum(axis=1)).max() < 1e-8,
                    "Add up a row of yours: it should be 0. Posterior and target each sum to 1, so what one class "
                    "gains another loses.",
                )
            ],
            factors={"the number of images": lambda z, *_: len(z), "the number of classes": lambda z, *_: z.shape[1]},
        )
    ],
    hints=(
        "Without smoothing the pull was p - (one-hot label), over B. What in that formula was the target?",
        "The loss is linear in the target: (1 - s) times the loss of the label and s times the mean loss of all "
        "classes. So is its gradient.",
        "Write down the target for C = 4, s = 0.4 and check that it sums to 1. Then posterior minus target, and the "
        "mean over the batch.",
    ),
    library=("losses.cross_entropy",),
)

# --- mended_accuracy ---


def share_of_right(
    weight: Array,
    bias: Array,
    images: Array,
    labels: Array,
    batch_size: int,
    mode: str,
    means: bool = False,
    dropped: bool = False,
    first_only: bool = False,
    percent: bool = False,
    counted: bool = False,
    wrong_ones: bool = False,
) -> float:
    """Image by image."""
    logits = images @ weight + bias
    right = [float(int(np.argmax(z)) == y) for z, y in zip(logits, labels, strict=True)]
    batches = [right[i : i + batch_size] for i in range(0, len(right), batch_size)]
    if dropped:
        batches = [b for b in batches if len(b) == batch_size]
    if first_only:
        batches = batches[:1]
    flat = [x for b in batches for x in b]
    found = float(np.mean([np.mean(b) for b in batches])) if means else sum(flat) / len(flat)
    found = 1 - found if wrong_ones else found
    return found * (100 if percent else 1) * (len(flat) if counted else 1)


MODES = {"training": (True, True), "evaluating": (False, False), "partly frozen": (True, False)}


def on_a_network(accuracy: Callable[..., Any]) -> Callable[..., Any]:
    """The student's function of a network as one of weights."""

    def run(weight: Tensor, bias: Tensor, images: Tensor, labels: Tensor, batch_size: int, mode: str) -> Any:
        whole, part = MODES[mode]
        network = Linear(weight, bias, training=whole)
        network.frozen = nn.Dropout(0.5).train(part)
        result = accuracy(network, images, labels, batch_size)
        _looked_at(network, images, batch_size)
        if (network.training, network.frozen.training) != (whole, part):
            left = "eval" if whole and not network.training else "train"
            what = "the network" if network.training != whole else "a part of the network, which somebody had frozen,"
            raise Refused(
                f"It leaves {what} in {left} mode. Whoever called it goes on in that mode without a word: put every "
                f"part "
                f"back as it was (each module knows its own `training`)."
            )
        if not (torch.equal(network.weight, weight) and network.weight.requires_grad):
            raise Refused("It changes the network: an evaluation only looks.")
        return result

    return run


def _looked_at(network: Linear, images: Tensor, batch_size: int) -> None:
    if any(seen.training for seen in network.seen):
        raise Refused("It asks the network in train mode: dropout throws dice, and batch norm learns from test images.")
    if any(seen.gradient for seen in network.seen):
        raise Refused("It records gradients while it only evaluates, which takes memory for nothing: torch.no_grad().")
    if any(len(seen.images) > batch_size for seen in network.seen):
        raise Refused(f"It shows the network more than batch_size = {batch_size} images at once.")
    shown = sum(len(seen.images) for seen in network.seen)
    if shown < len(images):
        raise Refused(f"It shows the network {shown} of {len(images)} images. What becomes of the last, smaller batch?")


def accuracy_cases(rng: np.random.Generator) -> list[Case]:
    """A network, images with labels that it has right about half of the time, a batch size and a mode."""
    found = []
    for many, batch, mode, says in (
        (5, 4, "training", ""),
        (12, 5, "training", ""),
        (10, 3, "training", ""),
        (6, 3, "training", "batches that come out even"),
        (7, 100, "training", "a batch larger than the set"),
        (4, 1, "training", "batches of one image"),
        (7, 3, "evaluating", "a network that was in eval mode before"),
        (7, 3, "partly frozen", "a network of which a part is frozen in eval mode"),
    ):
        weight, bias, images = slow.draw(rng, 3, 4), slow.draw(rng, 4), slow.draw(rng, many, 3)
        labels = (images @ weight + bias).argmax(dim=1)
        some = torch.tensor(rng.permutation(many) < many // 2)
        some[-1] = True  # the small batch at the end is the one that is wrong
        found.append(Case((weight, bias, images, torch.where(some, (labels + 1) % 4, labels), batch, mode), says))
    return found


ACCURACY = Task(
    name="mended_accuracy",
    exercise="01",
    arguments=("network", "images", "labels", "batch_size"),
    examinations=[
        Values(
            accuracy_cases,
            share_of_right,
            mistakes=[
                Mistake(
                    "It is the mean of the batches' means. The last batch is smaller, so each of its images counts "
                    "for more than any other: count images, not batches.",
                    means=True,
                ),
                Mistake("The last batch is left out.", dropped=True),
                Mistake("It looks at the first batch alone.", first_only=True),
                Mistake("It is in per cent; a share from 0 to 1 is wanted.", percent=True),
                Mistake("It is the number of right answers, not their share.", counted=True),
                Mistake("It is the share of the wrong answers.", wrong_ones=True),
            ],
            adapter=on_a_network,
            names=("weight", "bias", "images", "labels", "batch_size", "mode"),
        )
    ],
    hints=(
        "Three faults: one in the number that comes back, one in what it costs, one in what it leaves behind.",
        "Try 5 images in batches of 4, with the last one wrong. And ask `network.training` before and after.",
        "Count right answers and divide once, at the end. no_grad around the predictions. Remember each module's "
        "mode, then put it back.",
    ),
)

TASKS = (PULL, ACCURACY)
