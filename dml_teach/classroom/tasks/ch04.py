"""Exercise 04, two peers: the gradient of the reverse divergence, and a step with three faults."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom import slow
from dml_teach.classroom.calling import Caller
from dml_teach.classroom.compare import Values
from dml_teach.classroom.networks import Descent, Linear, leftovers, load_optimizers
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Refused, Task

# --- reverse_kl_gradient ---


def reverse_pull(
    logits: Array,
    target: Array,
    forward: bool = False,
    summed: bool = False,
    over_classes: bool = False,
    upside_down: bool = False,
    no_mean: bool = False,
    added: bool = False,
    mean_over_batch: bool = False,
) -> Array:
    """Row by row: what each logit does to the divergence, from the derivative of each p^m."""
    own, other = slow.log_posteriors(logits), slow.log_posteriors(target)
    pull = np.zeros_like(own)
    for b, row in enumerate(np.exp(own)):
        gaps = np.where(row > 0, own[b] - other[b], 0.0)
        centre = float(row @ gaps)
        centre = 0.0 if no_mean else -1.0 if added else centre
        if mean_over_batch and not no_mean:
            centre = float(np.mean([np.exp(own[i]) @ (own[i] - other[i]) for i in range(len(own))]))
        for m in range(len(row)):
            pull[b, m] = row[m] - np.exp(other[b, m]) if forward else row[m] * (gaps[m] - centre)
    pull /= 1 if summed else len(pull)
    pull /= pull.shape[1] if over_classes else 1
    return -pull if upside_down else pull


def reverse_cases(rng: np.random.Generator) -> list[Case]:
    """Logits and a target; of two that are equal neither pulls."""
    return [Case(pair, says) for says, pair in slow.pairs(rng, [[[0.0, 0.0, 1.0]], [[2.0, 0.0, 0.0]]])]


REVERSE = Task(
    name="reverse_kl_gradient",
    exercise="04",
    arguments=("logits", "target"),
    examinations=[
        Values(
            reverse_cases,
            reverse_pull,
            mistakes=[
                Mistake(
                    "That is p - q, the pull of the paper's divergence, D_KL(peer || self). Here it is the other way "
                    "round: one's own posterior stands in front.",
                    forward=True,
                ),
                Mistake(
                    "It is the sum over the batch; the loss is the mean over the images, so divide by B.", summed=True
                ),
                Mistake(
                    "It is divided by the number of classes too; the mean goes over the images alone.",
                    over_classes=True,
                ),
                Mistake("The sign is wrong: this leads uphill.", upside_down=True),
                Mistake(
                    "Your own posterior stands in the sum twice, outside the logarithm and inside, and every p "
                    "depends on "
                    "every logit. p (ln p - ln q) forgets that a logit which rises takes from all the others: what is "
                    "missing is the mean of ln p - ln q under p, the divergence itself.",
                    no_mean=True,
                ),
                Mistake(
                    "You have differentiated p (ln p - ln q) for p, which gives ln p - ln q + 1, and multiplied by "
                    "p. That "
                    "is not yet the derivative for a logit: a logit moves all the p of its row.",
                    added=True,
                ),
                Mistake(
                    "The divergence that is subtracted belongs to each image; you take one for the whole batch.",
                    mean_over_batch=True,
                ),
            ],
            laws=[
                Law(
                    lambda answer, *_: np.abs(answer.sum(axis=-1)).max() < 1e-8,
                    "Add up one row of yours: it should be 0, since adding a constant to all logits of an image "
                    "changes no "
                    "posterior, and no divergence.",
                )
            ],
            factors={"the number of images": lambda z, q: len(z), "the number of classes": lambda z, q: z.shape[1]},
        )
    ],
    hints=(
        "Write the divergence of one image as a sum over m, with your own p in front. In how many places does the "
        "logit "
        "z_k stand in it? Chapter 02 had it in one place only.",
        "The derivative of p_m for z_k is p_m ([m = k] - p_k). Use it in every term of the sum, and then collect "
        "what has "
        "the factor p_k.",
        "With g_m = ln p_m - ln q_m the sum becomes p_k times (g_k minus something that is the same for all k). What "
        "is "
        "that something? Then think of the mean over the batch.",
    ),
    library=("losses.kl_divergence", "losses.mimicry", "losses.mimicry_of_mixture", "losses.mimicry_of_ensemble"),
)

# --- mended_step ---

RATE = 0.5


def stepped(
    w0: Array,
    b0: Array,
    w1: Array,
    b1: Array,
    images: Array,
    labels: Array,
    leaking: bool = False,
    over_classes: bool = False,
    swapped: bool = False,
    stale: bool = False,
    newest: bool = False,
    labels_alone: bool = False,
    no_labels: bool = False,
    halved: bool = False,
    summed: bool = False,
    squares: bool = False,
    oneself: bool = False,
    softened: bool = False,
    of_both: bool = False,
) -> tuple[Array, ...]:
    """One simultaneous step of two linear networks, the gradient of each logit written down."""
    weights = [(w0, b0), (w1, b1)]
    logits = [images @ w + b for w, b in weights]
    classes, many = logits[0].shape[1], 1 if summed else len(images)
    share = (0.0 if labels_alone else 1.0) / (classes if over_classes else 1) / (2 if halved else 1)
    paid, moved = np.zeros(2), list[tuple[Array, Array]]()
    for k in (0, 1):
        peer = logits[1 - k]
        if newest and k == 1:
            peer = images @ moved[0][0] + moved[0][1]
        if of_both:
            peer = np.log((slow.posteriors(logits[0]) + slow.posteriors(logits[1])) / 2)
        own, other = slow.posteriors(logits[k]), slow.posteriors(peer)
        apart = slow.divergences(logits[k], peer) if swapped else slow.divergences(peer, logits[k])
        supervised = 0.0 if no_labels else slow.of_labels(logits[k], labels).sum() / many
        paid[k] = supervised + share * apart.sum() / many
        pull = (0.0 if no_labels else 1.0) * (own - slow.one_hot(labels, classes))
        forward, reverse = own - other, len(own) * reverse_pull(logits[k], peer)
        if squares:
            paid[k] = supervised + ((logits[k] - peer) ** 2).mean()
            forward = 2 * (logits[k] - peer) / classes
        if softened:
            heat = slow.posteriors(logits[k], 2.0) - slow.posteriors(peer, 2.0)
            paid[k], forward = supervised + 4 * slow.divergences(peer, logits[k], 2.0).sum() / many, 2 * heat
        pull = pull + (0.0 if oneself else share) * (reverse if swapped else forward)
        if leaking or oneself:  # the other one's loss pulls here as well
            pull = pull + share * (forward if swapped else len(own) * reverse_pull(logits[k], peer))
        pull = pull / many + 0.0
        extra = 0.75 if stale else 0.0
        w, b = weights[k]
        moved.append((w - RATE * (images.T @ pull + extra), b - RATE * (pull.sum(axis=0) + extra)))
    return (paid, *moved[0], *moved[1])


def on_two_networks(step: Callable[..., Any]) -> Callable[..., Any]:
    """The student's step as a function of weights; evaluation has left the networks in eval mode."""

    def run(w0: Tensor, b0: Tensor, w1: Tensor, b1: Tensor, images: Tensor, labels: Tensor) -> Any:
        networks = [Linear(w0, b0, training=False), Linear(w1, b1, training=False)]
        optimizers = [Descent(network, RATE) for network in networks]
        for network in networks:
            leftovers(network)
        paid = step(networks, optimizers, images, labels)
        _used_rightly(networks, optimizers, images)
        if isinstance(paid, Tensor) and paid.requires_grad:
            raise Refused(
                "The losses that it returns still hang on the graph, which keeps all its memory alive: detach them."
            )
        return (paid, *(x.detach() for network in networks for x in (network.weight, network.bias)))

    return run


def _used_rightly(networks: list[Linear], optimizers: list[Descent], images: Tensor) -> None:
    for k, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
        if not network.seen:
            raise Refused(f"Peer {k} is never asked for its prediction.")
        if optimizer.steps != 1:
            raise Refused(f"The optimizer of peer {k} makes {optimizer.steps} steps on this batch instead of one.")
        for seen in network.seen:
            if seen.images.shape != images.shape or not torch.equal(seen.images, images):
                raise Refused(f"Peer {k} is shown something else than the batch: peers must look at the *same* images.")
        if any(not seen.training for seen in network.seen):
            raise Refused(
                f"Peer {k} trains in eval mode. An evaluation has left it there, and nobody has called train(): "
                f"batch norm "
                f"would use old statistics and dropout would be off from here to the end."
            )
        if len(network.seen) > 1:
            raise Refused(
                f"Peer {k} predicts {len(network.seen)} times on this batch. Once is enough in the simultaneous "
                f"order, and "
                f"batch norm would count every batch {len(network.seen)} times."
            )


def step_cases(rng: np.random.Generator) -> list[Case]:
    """Weights of two networks and a batch."""
    found = []
    for images, width, classes, says in (
        (2, 1, 3, ""),
        (4, 2, 3, ""),
        (5, 3, 7, ""),
        (1, 2, 4, slow.ONE_IMAGE),
    ):
        weights = [slow.draw(rng, *shape, size=1.0) for shape in 2 * ((width, classes), (classes,))]
        batch = slow.draw(rng, images, width, size=1.0)
        found.append(Case((*weights, batch, slow.labels_for(rng, images, classes)), says))
    return found


def left_behind(call: Caller, rng: np.random.Generator) -> int:
    """What a step that moves the weights rightly leaves: train mode, and no gradient but that which has moved them."""
    w0, b0, w1, b1, images, labels = step_cases(rng)[1].arguments
    networks = [Linear(w0, b0, training=False), Linear(w1, b1, training=False)]
    optimizers = [Descent(network, RATE) for network in networks]
    call.guarded(lambda: call.function(networks, optimizers, images, labels))
    for k, (network, before) in enumerate(zip(networks, (w0, w1), strict=True)):
        if not network.training:
            raise Refused(f"It leaves peer {k} in eval mode.")
        left, moved = network.weight.grad, (before - network.weight.detach()) / RATE
        if left is not None and left.abs().max() > 0 and (left - moved).abs().max() > 1e-8:
            raise Refused(
                f"The peer is not detached: when the other one learns, a gradient flows into peer {k} as well. Here it "
                f"comes too late to move it, but it is there; in a deeper network PyTorch would stop with an error."
            )
    return 1


STEP = Task(
    name="mended_step",
    exercise="04",
    arguments=("networks", "optimizers", "images", "labels"),
    examinations=[
        Values(
            step_cases,
            stepped,
            mistakes=[
                Mistake("Each peer's target is the average of both; it hears the other one alone.", of_both=True),
                Mistake(
                    "You have detached yourself instead of the peer: your own logits hear nothing, and the peer is "
                    "moved.",
                    oneself=True,
                ),
                Mistake(
                    "That is the squared distance of the logits. It is often called mutual learning, but what peers "
                    "compare are posteriors, by a divergence.",
                    squares=True,
                ),
                Mistake("The posteriors are softened; the paper's peers speak at temperature 1.", softened=True),
                Mistake(
                    "The peer is not detached: the loss of each also pulls at the other, which is asked to be easy "
                    "to imitate.",
                    leaking=True,
                ),
                Mistake(
                    "The divergence is a mean over the classes too (reduction='mean' of kl_div does that), so the "
                    "peers "
                    "hardly hear each other: with 100 classes it would be 100 times too weak.",
                    over_classes=True,
                ),
                Mistake(
                    "The divergence is the wrong way round: the peer stands in front, D_KL(peer || self).", swapped=True
                ),
                Mistake(
                    "Gradients of an earlier step are still there: nobody calls zero_grad() before backward().",
                    stale=True,
                ),
                Mistake(
                    "Peer 1 hears peer 0 after its update. In the simultaneous order both learn from what was said "
                    "before "
                    "anybody moved.",
                    newest=True,
                ),
                Mistake(
                    "The peers do not hear each other at all; they learn from the labels alone.", labels_alone=True
                ),
                Mistake(
                    "The labels are missing: peers that learn only from each other learn nothing true.", no_labels=True
                ),
                Mistake("The divergence has a weight of 1/2; the paper gives it the full weight 1.", halved=True),
                Mistake("The losses are summed over the images; they are means over the batch.", summed=True),
            ],
            adapter=on_two_networks,
            names=("w0", "b0", "w1", "b1", "images", "labels"),
            parts=("losses", "weights of peer 0", "bias of peer 0", "weights of peer 1", "bias of peer 1"),
        ),
        left_behind,
    ],
    hints=(
        "There are three faults, and none of them raises an error. Ask of each line: whose weights does this move, "
        "by how "
        "much, and in which mode is the network?",
        "The loss is one sum of four terms, and backward() goes from it into everything that is not a constant. What "
        "should be a constant to peer 0? Then read what kl_div divides by, and what evaluation did before the step.",
        "detach; reduction='batchmean'; train(). What remains is where each of them belongs.",
    ),
    library=("cohort.Cohort.step", "cohort.Cohort.loss"),
    prepare=load_optimizers,
)

TASKS = (REVERSE, STEP)
