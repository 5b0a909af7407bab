"""Exercise 06, a cohort of N: two cliques that share a bridge, and an ensemble loss with four faults."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Task

# --- two_cliques ---


def cliques(
    first: int,
    second: int,
    self_loops: bool = False,
    unnormalised: bool = False,
    counted: bool = False,
    no_bridge: bool = False,
    there_only: bool = False,
    back_only: bool = False,
    everybody: bool = False,
    half: bool = False,
    wrong_ends: int = 0,
    by_columns: bool = False,
) -> Array:
    """Peer by peer: whom it hears, and then each of these alike."""
    peers = first + second
    ends = ((first - 1, first), (0, first), (first - 1, peers - 1), (0, peers - 1))[wrong_ends]
    found = np.zeros((peers, peers))
    for k in range(peers):
        for l in range(peers):
            together = (k < first) == (l < first) and (k != l or self_loops)
            bridge = not no_bridge and (((k, l) == ends and not back_only) or ((l, k) == ends and not there_only))
            found[k, l] = together or bridge or (everybody and k != l)
        total = found[k].sum()
        if half and k in ends and total > 1:
            own = found[k].copy()
            own[ends[1 - ends.index(k)]] = 0
            found[k] = own / own.sum() / 2
            found[k, ends[1 - ends.index(k)]] = 0.5
        elif unnormalised and k in ends and total > 1:
            found[k] /= total - 1
        elif total and not counted and not by_columns:
            found[k] /= total
    if by_columns:
        sums = found.sum(axis=0)
        found /= np.where(sums > 0, sums, 1)
    return found


def clique_cases(rng: np.random.Generator) -> list[Case]:
    """Sizes of two cliques."""
    found = [Case((2, 2)), Case((3, 2)), Case((2, 4)), Case((4, 3)), Case((int(rng.integers(5, 8)), 5))]
    found += [Case((1, 3), "a first clique of one peer"), Case((3, 1), "a second clique of one peer")]
    return [*found, Case((1, 1), "two peers, each a clique of its own")]


WRONG_ENDS = (
    "The bridge stands at the wrong peer: it joins the last of the first clique and the first of the second, peers "
    "first - 1 and first."
)

CLIQUES = Task(
    name="two_cliques",
    exercise="06",
    arguments=("first", "second"),
    examinations=[
        Values(
            clique_cases,
            cliques,
            mistakes=[
                Mistake(
                    "Peers listen to themselves: the diagonal is 0, since one's own posterior teaches nothing.",
                    self_loops=True,
                ),
                Mistake(
                    "The rows of the two at the bridge sum to more than 1: they hear one peer more, so each of their "
                    "peers counts for less.",
                    unnormalised=True,
                ),
                Mistake(
                    "These are the arrows, 0 or 1. A row of weights sums to 1: divide each by the number of peers "
                    "that are heard.",
                    counted=True,
                ),
                Mistake("The bridge is missing: the cliques never hear of each other.", no_bridge=True),
                Mistake("The bridge goes one way only: the second clique does not hear the first.", there_only=True),
                Mistake("The bridge goes one way only: the first clique does not hear the second.", back_only=True),
                Mistake("Here everybody hears everybody; that is one clique.", everybody=True),
                Mistake(
                    "The two at the bridge give it half of their attention. All whom a peer hears count alike.",
                    half=True,
                ),
                *(Mistake(WRONG_ENDS, wrong_ends=i) for i in (1, 2, 3)),
                Mistake("The columns sum to 1. Row k is the peer that listens, so rows do.", by_columns=True),
            ],
            laws=[
                Law(lambda w, *_: (w >= 0).all(), "A weight is never below 0."),
                Law(lambda w, *_: np.allclose(np.diag(w), 0), "The diagonal should be 0: nobody learns from itself."),
                Law(
                    lambda w, *_: np.allclose(w.sum(axis=1), 1),
                    "Each row should sum to 1: everybody here hears somebody.",
                ),
                Law(
                    lambda w, *_: ((w > 0) == (w > 0).T).all(),
                    "Whoever is heard hears as well: here arrows go both ways.",
                ),
                Law(
                    lambda w, *_: all(len(set(np.round(r[r > 0], 9))) == 1 for r in w),
                    "All whom a peer hears count alike; in a row of yours they do not.",
                ),
            ],
            dtype=torch.float64,
        )
    ],
    hints=(
        "Draw it for 3 and 2 peers, and write down row 2 and row 3, the two at the bridge. To how many does each of "
        "them listen?",
        "First who hears whom, as zeros and ones: two blocks of ones, no diagonal, and two more ones for the bridge.",
        "Then divide each row by its sum. With one peer in a clique its row would be empty but for the bridge; check "
        "that 1 and 1 give two mutual peers.",
    ),
    library=("topology.mutual", "topology.ring"),
)

# --- mended_dml_e ---


def from_the_others(
    own: Array,
    others: Array,
    k: int,
    itself: bool = False,
    of_logits: bool = False,
    one_too_many: bool = False,
    swapped: bool = False,
    one_by_one: bool = False,
    over_classes: bool = False,
    summed: bool = False,
    added_up: bool = False,
) -> float:
    """mean_b D_KL(mean of the others' posteriors || own)."""
    heard = np.concatenate([others, own[None]]) if itself else others
    said = np.mean([slow.posteriors(z) for z in heard], axis=0)
    if of_logits:
        said = slow.posteriors(heard.mean(axis=0))
    if one_too_many:
        said = said * len(heard) / (len(heard) + 1)
    logs = slow.log_posteriors(own)
    with np.errstate(divide="ignore"):
        said_logs = np.log(said)
    pairs = zip(logs, said_logs, strict=True)
    apart = np.array([slow.divergence(o, s) if swapped else slow.divergence(s, o) for o, s in pairs])
    if one_by_one or added_up:
        each = [slow.divergences(own, z) if swapped else slow.divergences(z, own) for z in heard]
        apart = np.sum(each, axis=0) / (1 if added_up else len(each))
    return np.float64(apart.sum() / (1 if summed else len(apart)) / (own.shape[1] if over_classes else 1))


def with_own_apart(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The student's function with peer k's logits as an argument of its own."""

    def run(own: Tensor, others: Tensor, k: int) -> Any:
        return loss(torch.cat([others[:k], own[None], others[k:]]), k)

    return run


def cohort_cases(rng: np.random.Generator) -> list[Case]:
    """One peer, the others, and the place where it stands."""
    small = (slow.tensor([[0.0, 0.0, 0.0]]), slow.tensor([[[2.0, 0.0, 0.0]], [[0.0, 4.0, 0.0]]]))
    found = [Case((*small, 0))]
    for others, b, c, k, says in (
        (2, 3, 4, 1, ""),
        (4, 2, 3, 2, ""),
        (3, 5, 7, 3, ""),
        (1, 3, 4, 0, "two peers"),
        (2, 1, 4, 1, slow.ONE_IMAGE),
        (4, 3, 2, 4, "the last peer"),
    ):
        found.append(Case((slow.draw(rng, b, c), slow.draw(rng, others, b, c, size=3.0), k), says))
    single = (slow.draw(rng, 3, 4, dtype=torch.float32), slow.draw(rng, 2, 3, 4, dtype=torch.float32))
    certain = (slow.extreme(rng, 3, 4), -slow.extreme(rng, 2, 3, 4))
    return [*found, Case((*single, 0), slow.SINGLE), Case((*certain, 1), slow.EXTREME)]


DML_E = Task(
    name="mended_dml_e",
    exercise="06",
    arguments=("logits", "k"),
    examinations=[
        Values(
            cohort_cases,
            from_the_others,
            mistakes=[
                Mistake(
                    "Peer k is in the average that it is compared with. It learns from the others, l != k; with "
                    "itself among them part of the lesson is what it says already.",
                    itself=True,
                ),
                Mistake(
                    "You average logits. The paper averages probabilities: softmax of each peer first, then the mean.",
                    of_logits=True,
                ),
                Mistake(
                    "You sum over K - 1 peers but divide by K, so the average does not sum to 1.", one_too_many=True
                ),
                Mistake("The divergence is the wrong way round: the average stands in front.", swapped=True),
                Mistake(
                    "That is the mean of the pairwise divergences, DML proper. DML_e is the divergence from the mean "
                    "posterior: the same gradient, but smaller by the Jensen-Shannon divergence.",
                    one_by_one=True,
                ),
                Mistake("That is the sum of the pairwise divergences, as in the authors' code.", added_up=True),
                Mistake("The mean goes over the classes too, C times too weak.", over_classes=True),
                Mistake("It is the sum over the batch instead of the mean.", summed=True),
            ],
            laws=[Law(lambda a, *_: a > -1e-9, "A divergence is never below 0; yours is. Does your average sum to 1?")],
            learns=("own",),
            targets=("others",),
            target_says="Peer k's loss would pull at all the others as well: detach what they say.",
            adapter=with_own_apart,
            names=("own", "others", "k"),
            factors={
                "the number of images": lambda o, *_: len(o),
                "the number of classes": lambda o, *_: o.shape[1],
                "K": lambda o, q, k: len(q) + 1,
                "(K - 1)": lambda o, q, k: len(q),
            },
        )
    ],
    hints=(
        "Four faults: who is in the average, what is averaged, what the mean of the loss goes over, and where the "
        "gradient runs.",
        "With K = 2 the average of the others is just the other one. Does your loss then equal the plain divergence?",
        "Leave out row k, softmax, detach, mean over the peers. Then sum over classes, mean over images. A p of 0 "
        "must not give nan: torch.xlogy.",
    ),
    library=(
        "losses.kl_divergence",
        "losses.mimicry",
        "losses.mimicry_of_mixture",
        "losses.mimicry_of_ensemble",
        "losses.summed_mimicry",
    ),
)

TASKS = (CLIQUES, DML_E)
