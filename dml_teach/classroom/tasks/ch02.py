"""Exercise 02, posteriors: the temperature for a given doubt, and a loss with four faults."""

import math

import numpy as np
import torch

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Task

# --- temperature_for_entropy ---


def mean_doubt(logits: Array, temperature: float, of_mean: bool = False) -> float:
    """Mean entropy of the posteriors at a temperature, in nats."""
    rows = slow.posteriors(logits, temperature)
    rows = rows.mean(axis=0, keepdims=True) if of_mean else rows
    return float(np.mean([-math.fsum(p * math.log(p) for p in row if p > 0) for row in rows.tolist()]))


def tempered(
    logits: Array,
    entropy: float,
    inverse: bool = False,
    bits: bool = False,
    of_mean: bool = False,
    summed: bool = False,
) -> float:
    """Halve an interval of ln T a hundred times."""
    wanted = entropy * (math.log(2) if bits else 1) / (len(logits) if summed else 1)
    low, high = math.log(1e-4), math.log(1e6)
    for _ in range(100):
        middle = (low + high) / 2
        if mean_doubt(logits, math.exp(middle), of_mean) < wanted:
            low = middle
        else:
            high = middle
    return math.exp(-low if inverse else low)


def entropy_cases(rng: np.random.Generator) -> list[Case]:
    """Logits, and their entropy at a temperature that is to be found."""
    found = []
    for shape, size, temperature, says in (
        ((1, 2), 2.0, 1.7, ""),
        ((3, 4), 2.0, 2.5, ""),
        ((5, 3), 2.0, 0.8, ""),
        ((4, 7), 3.0, 4.0, ""),
        ((4, 5), 2.0, 0.3, "a temperature below 1"),
        ((3, 4), 30000.0, 20000.0, "logits in the ten thousands, where many p are 0"),
        ((3, 4), 0.002, 0.003, "logits that hardly differ"),
    ):
        logits = slow.draw(rng, *shape, size=size)
        logits[:, 0] += size
        found.append(Case((logits, mean_doubt(logits.numpy(), temperature)), says))
    single = slow.draw(rng, 3, 4, dtype=torch.float32)
    return [*found, Case((single, mean_doubt(single.double().numpy(), 2.0)), slow.SINGLE)]


def _near(answer: float, logits: Array, entropy: float) -> bool:
    return abs(mean_doubt(logits, answer) - entropy) > 0.005


TEMPERATURE = Task(
    name="temperature_for_entropy",
    exercise="02",
    arguments=("logits", "entropy"),
    examinations=[
        Values(
            entropy_cases,
            tempered,
            mistakes=[
                Mistake(
                    "That is 1 / T: logits are *divided* by the temperature, and a high one makes doubt.", inverse=True
                ),
                Mistake("Your entropy is in bits, log2; the course measures in nats, ln.", bits=True),
                Mistake(
                    "You take the entropy of the mean posterior. Wanted is the mean of the entropies: each image's "
                    "doubt first, then the mean.",
                    of_mean=True,
                ),
                Mistake("You compare the sum of the images' entropies with what is wanted of their mean.", summed=True),
            ],
            laws=[
                Law(lambda answer, *_: answer > 0, "A temperature is above 0."),
                Law(
                    _near,
                    "You are near, but not there. A grid of temperatures is too coarse: halve an interval until it "
                    "is as narrow as rounding allows.",
                ),
                Law(
                    lambda *_: False,
                    "At the temperature that you return, the mean entropy is not the one that was asked for.",
                ),
            ],
            tolerance=1e-5,
        )
    ],
    hints=(
        "How does the mean entropy move as T grows? It starts at 0, ends at ln C and never turns back. What does "
        "that allow?",
        "Keep two temperatures, one too cold and one too hot, and look at the middle. From 1/10 000 to 1 000 000 the "
        "middle is better taken of ln T.",
        "Sixty halvings, no `while` that waits for equality: rounding may keep it from ever coming true. Compute ln "
        "p with log_softmax, so that p = 0 does no harm.",
    ),
    library=("metrics.entropy",),
)

# --- mended_mimicry ---


def mimicked(
    logits: Array,
    peer_logits: Array,
    temperature: float,
    swapped: bool = False,
    over_classes: bool = False,
    no_square: bool = False,
    once: bool = False,
    cold_peer: bool = False,
    cold: bool = False,
    summed: bool = False,
    heated: bool = False,
    across: bool = False,
    crossed: bool = False,
    symmetric: bool = False,
    between: bool = False,
) -> float:
    """T^2 times the mean divergence of each image."""
    own, peer = logits / temperature, peer_logits / (1 if cold_peer else temperature)
    if cold:
        own, peer = logits, peer_logits
    if heated:
        own, peer = logits * temperature, peer_logits * temperature
    apart = slow.divergences(own, peer) if swapped else slow.divergences(peer, own)
    if across:
        own, peer = own.T, peer.T
    if across or symmetric:
        apart = slow.divergences(peer, own) + (slow.divergences(own, peer) if symmetric else 0)
        apart = apart * len(apart) / len(logits) if across else apart
    if crossed:
        apart = -(slow.posteriors(peer) * slow.log_posteriors(own)).sum(axis=1)
    if between:
        with np.errstate(divide="ignore"):
            middle = np.log((slow.posteriors(own) + slow.posteriors(peer)) / 2)
        apart = (slow.divergences(own, middle) + slow.divergences(peer, middle)) / 2
    factor = 1.0 if no_square else temperature if once else temperature**2
    return np.float64(factor * apart.sum() / (1 if summed else len(apart)) / (logits.shape[1] if over_classes else 1))


def mimicry_cases(rng: np.random.Generator) -> list[Case]:
    """Two logits and a temperature; at T = 1 half of the faults can not be seen."""
    small = [[[0.0, 0.0, 0.0]], [[2.0, 0.0, 0.0]]]
    temperatures = [2.0, 3.0, 0.5, 4.0, 2.0, 2.0, 2.0, 3.0, 2.0, 2.0]
    pairs = slow.pairs(rng, small)
    found = [Case((*pair, t), says) for (says, pair), t in zip(pairs, temperatures, strict=True)]
    return [*found, Case((slow.draw(rng, 3, 4), slow.draw(rng, 3, 4), 1.0), "T = 1")]


MIMICRY = Task(
    name="mended_mimicry",
    exercise="02",
    arguments=("logits", "peer_logits", "temperature"),
    examinations=[
        Values(
            mimicry_cases,
            mimicked,
            mistakes=[
                Mistake(
                    "The divergence is the wrong way round: D_KL(self || peer). The peer stands in front (PyTorch's "
                    "kl_div takes the learner first, as logarithms).",
                    swapped=True,
                ),
                Mistake(
                    "The mean goes over the classes too, so the loss is C times too weak; sum over the classes, mean "
                    "over the images.",
                    over_classes=True,
                ),
                Mistake(
                    "T^2 is missing. Softened posteriors pull with 1 / T^2 of the strength; the factor makes up for "
                    "it.",
                    no_square=True,
                ),
                Mistake(
                    "The factor is T, and it should be T^2: 1 / T comes from the softmax and 1 / T from the "
                    "difference of the softened posteriors.",
                    once=True,
                ),
                Mistake("The peer's posterior is not softened: both are taken at temperature T.", cold_peer=True),
                Mistake("Neither posterior is softened: divide both logits by T.", cold=True),
                Mistake("It is the sum over the batch instead of the mean.", summed=True),
                Mistake("The softmax runs over the images instead of the classes (dim=0).", across=True),
                Mistake(
                    "That is the cross-entropy to the peer. It has the same gradient, but its lowest value is the "
                    "peer's "
                    "entropy; the divergence is 0 when both say the same.",
                    crossed=True,
                ),
                Mistake("Both ways round are added; only D_KL(peer || self) is wanted.", symmetric=True),
                Mistake("That is the Jensen-Shannon divergence, from the middle between the two.", between=True),
                Mistake("Logits are multiplied by T; they are divided by it.", heated=True),
            ],
            laws=[
                Law(
                    lambda answer, *_: answer > -1e-9,
                    "A divergence is never below 0; yours is. Is each row of what you weigh with a posterior, and is "
                    "each logarithm one?",
                )
            ],
            learns=("logits",),
            targets=("peer_logits",),
            target_says="The peer is a target, no partner in the descent: else it learns to be easy to copy. Detach.",
            factors={
                "the number of images": lambda z, *_: len(z),
                "the number of classes": lambda z, *_: z.shape[1],
                "T": lambda z, q, t: t,
                "T^2": lambda z, q, t: t * t,
                "T^4": lambda z, q, t: t**4,
            },
        )
    ],
    hints=(
        "Four faults: what stands in front, what the mean goes over, how T enters, and where the gradient runs.",
        "Take one image of three classes and T = 2, compute the loss by hand and compare. Then double the number of "
        "classes by adding two that nobody finds likely: should the loss change?",
        "The peer's posterior in front and detached; sum over classes; mean over images; T twice in the softmax and "
        "twice before it.",
    ),
    library=("losses.kl_divergence", "losses.mimicry", "losses.mimicry_of_mixture", "losses.mimicry_of_ensemble"),
)

TASKS = (TEMPERATURE, MIMICRY)
