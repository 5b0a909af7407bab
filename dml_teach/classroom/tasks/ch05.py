"""Exercise 05, do they agree?: agreement beyond chance, and a report that flatters twice."""

import math
from collections import Counter

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Task

# --- agreement_beyond_chance ---


def beyond_chance(
    logits: Array,
    raw: bool = False,
    even_chance: bool = False,
    own_chance: bool = False,
    no_denominator: bool = False,
    chance_only: bool = False,
    nan_is_zero: bool = False,
    nan_is_one: bool = False,
    of_posteriors: bool = False,
) -> Array:
    """Cohen's kappa of every pair, counted image by image."""
    named = [[int(np.argmax(z)) for z in peer] for peer in logits]
    peers, images, classes = logits.shape
    found = np.zeros((peers, peers))
    for k in range(peers):
        for l in range(peers):
            same = sum(a == b for a, b in zip(named[k], named[l], strict=True)) / images
            ours, theirs = Counter(named[k]), Counter(named[k] if own_chance else named[l])
            chance = sum(ours[c] * theirs[c] for c in range(classes)) / images**2
            chance = 1 / classes if even_chance else chance
            if of_posteriors:
                p = slow.posteriors(logits).mean(axis=1)
                chance = float(p[k] @ p[l])
            if raw or chance_only:
                found[k, l] = chance if chance_only else same
            elif no_denominator:
                found[k, l] = same - chance
            elif chance == 1:
                found[k, l] = 0 if nan_is_zero else 1 if nan_is_one else math.nan
            else:
                found[k, l] = (same - chance) / (1 - chance)
    return found


def naming(named: list[list[int]], classes: int) -> Tensor:
    """Logits (K, N, C) of peers that name these classes."""
    return 3.0 * torch.nn.functional.one_hot(torch.tensor(named), classes).double()


def agreement_cases(rng: np.random.Generator) -> list[Case]:
    """Peers that agree more often than chance."""
    found = [Case((naming([[0, 0, 0, 1], [0, 0, 1, 1]], 2),))]
    for k, n, c, says in (
        (2, 12, 3, ""),
        (3, 20, 4, ""),
        (4, 15, 5, ""),
        (1, 8, 3, "a single peer"),
        (2, 6, 2, "two classes"),
    ):
        shared = slow.draw(rng, 1, n, c, size=2.0)
        tilt = torch.linspace(0, 2, c, dtype=torch.float64)  # some classes are named more often than others
        found.append(Case((shared + tilt + slow.draw(rng, k, n, c, size=1.5),), says))
    found += [
        Case((naming([[0, 1, 0, 1], [1, 0, 1, 0]], 2),), "peers that never agree"),
        Case(
            (naming([[1, 1, 1], [1, 1, 1], [0, 1, 1]], 2),),
            "peers that give all images one and the same name, where it is 0 / 0",
        ),
        Case((slow.draw(rng, 3, 9, 4, dtype=torch.float32),), "float32 (the result is float64 all the same)"),
        Case((slow.draw(rng, 4, 9, 3).transpose(0, 1).contiguous().transpose(0, 1),), slow.TURNED),
    ]
    return found


AGREEMENT = Task(
    name="agreement_beyond_chance",
    exercise="05",
    arguments=("logits",),
    examinations=[
        Values(
            agreement_cases,
            beyond_chance,
            mistakes=[
                Mistake(
                    "For chance you take mean posteriors; count the names that the peers give.", of_posteriors=True
                ),
                Mistake(
                    "That is the plain agreement. Two peers who name the frequent classes often agree often by "
                    "chance: subtract what chance would give.",
                    raw=True,
                ),
                Mistake(
                    "You take 1 / C for chance. That holds for peers who name all classes equally often; count how "
                    "often each of them names each class.",
                    even_chance=True,
                ),
                Mistake(
                    "For chance you use the first peer's frequencies twice; it is the first one's times the second "
                    "one's, class by class.",
                    own_chance=True,
                ),
                Mistake(
                    "You subtract chance, but do not divide by 1 - chance: full agreement should be 1.",
                    no_denominator=True,
                ),
                Mistake("That is the chance alone.", chance_only=True),
                Mistake(
                    "Where both give every image the same one name, chance is 1 and kappa is not defined: nan, not 0.",
                    nan_is_zero=True,
                ),
                Mistake(
                    "Where both give every image the same one name, chance is 1 and kappa is not defined: nan, not 1.",
                    nan_is_one=True,
                ),
            ],
            laws=[
                Law(
                    lambda a, z: np.allclose(a, a.T, equal_nan=True),
                    "It should be symmetric: peer 0 agrees with peer 1 as much as peer 1 with peer 0.",
                ),
                Law(lambda a, z: np.allclose(np.diag(a), 1), "Each peer agrees fully with itself: the diagonal is 1."),
                Law(lambda a, z: np.nanmax(a) <= 1 + 1e-9, "It can not be above 1."),
            ],
            dtype=torch.float64,
        )
    ],
    hints=(
        "First which class each peer names, (K, N). Then two numbers for each pair: how often the two agree, and how "
        "often they would if each drew its names blindly.",
        "A peer that draws blindly names class c with its own frequency f_k[c]. Two of them meet in c with f_k[c] "
        "f_l[c]; sum over c.",
        "(agreement - chance) / (1 - chance), as matrices (K, K). one_hot of the names, its mean over the images, "
        "and one matrix product give the chance.",
    ),
    library=("metrics.agreement",),
)

# --- mended_report ---


def reported(
    logits: Array,
    labels: Array,
    best: bool = False,
    of_logits: bool = False,
    votes: bool = False,
    exchanged: bool = False,
    percent: bool = False,
    gain: bool = False,
    surest: bool = False,
    one_alone: bool = False,
    oracle: bool = False,
) -> tuple[float, float]:
    """Mean accuracy of the peers, accuracy of their averaged posterior."""
    images, classes = logits.shape[1:]
    each = [np.mean([np.argmax(z) == y for z, y in zip(peer, labels, strict=True)]) for peer in logits]
    right = 0
    for n in range(images):
        p = slow.posteriors(logits[:, n])
        together = p.max(axis=0) if surest else p.sum(axis=0)
        if of_logits:
            together = logits[:, n].sum(axis=0)
        if votes:
            together = np.bincount(logits[:, n].argmax(axis=1), minlength=classes)
        if one_alone:
            together = p[0]
        named = [int(np.argmax(z)) for z in p] if oracle else [int(np.argmax(together))]
        right += int(labels[n]) in named
    single, ensemble = float(max(each) if best else np.mean(each)), float(right / images)
    ensemble -= single if gain else 0
    factor = 100 if percent else 1
    return (ensemble * factor, single * factor) if exchanged else (single * factor, ensemble * factor)


def report_cases(rng: np.random.Generator) -> list[Case]:
    """Peers of which some are louder than others, so that a mean of logits is another mean."""
    # The first image: heard at another temperature, or by logits, the loud peer decides alone.
    loud = [[[20.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 1.6, 0.0], [0.0, 1.0, 0.9]], [[0.0, 1.6, 0.0], [0.0, 0.0, 4.0]]]
    found = [Case((slow.tensor(loud), torch.tensor([1, 2])))]
    for k, n, c, says in (
        (2, 40, 4, ""),
        (3, 60, 5, ""),
        (5, 40, 3, ""),
        (1, 20, 4, "a single peer"),
        (3, 1, 4, slow.ONE_IMAGE),
    ):
        labels = slow.labels_for(rng, n, c)
        right = 1.5 * torch.nn.functional.one_hot(labels, c).double()
        volume = torch.tensor(np.exp(rng.normal(0, 1, (k, n, 1))))
        found.append(Case((volume * (right + slow.draw(rng, k, n, c)), labels), says))
    return [*found, Case((slow.extreme(rng, 3, 20, 4), slow.labels_for(rng, 20, 4)), slow.EXTREME)]


REPORT = Task(
    name="mended_report",
    exercise="05",
    arguments=("logits", "labels"),
    examinations=[
        Values(
            report_cases,
            reported,
            mistakes=[
                Mistake("The ensemble is the first peer alone.", one_alone=True),
                Mistake(
                    "You count an image if any peer is right. Nobody could know which; average the posteriors.",
                    oracle=True,
                ),
                Mistake(
                    "For the single network you report the best peer. Which one is best was found out on the test "
                    "set, so that number is too high: report the mean.",
                    best=True,
                ),
                Mistake(
                    "The ensemble averages logits, in which the loudest peer decides; average the posteriors.",
                    of_logits=True,
                ),
                Mistake(
                    "The ensemble counts votes; average the posteriors, in which a doubtful vote counts for less.",
                    votes=True,
                ),
                Mistake("For each class you take the surest peer; average the posteriors over the peers.", surest=True),
                Mistake(
                    "The two numbers have changed places: first the single network, then the ensemble.", exchanged=True
                ),
                Mistake("Shares from 0 to 1 are wanted, not per cent.", percent=True),
                Mistake("The second number is the ensemble's gain; its accuracy is wanted.", gain=True),
            ],
            parts=("single", "ensemble"),
        )
    ],
    hints=(
        "Two numbers, two faults. Ask of each: is it something that somebody could have known before looking at the "
        "test set? And what is averaged?",
        "Three peers, one image: one is very sure and wrong, two are rather sure and right. What does the mean of "
        "the logits say, what the mean of the posteriors?",
        "Mean over the peers of their accuracies; softmax over the classes before the mean over the peers, argmax "
        "after it.",
    ),
    library=("metrics.ensemble", "analysis.agreement.ensemble_gain"),
)

TASKS = (AGREEMENT, REPORT)
