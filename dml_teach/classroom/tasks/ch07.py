"""Exercise 07, unequal peers: listening to a better one only, and a measurement that leaves traces."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dml_teach.classroom import slow
from dml_teach.classroom.calling import Caller
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Refused, Task

# --- selective_mimicry ---


def selected(
    logits: Array,
    peer_logits: Array,
    labels: Array,
    everybody: bool = False,
    upside_down: bool = False,
    kept_only: bool = False,
    if_right: bool = False,
    if_wrong: bool = False,
    by_top: bool = False,
    swapped: bool = False,
    over_classes: bool = False,
    summed: bool = False,
    by_logits: bool = False,
    all_or_none: bool = False,
    by_gap: bool = False,
) -> float:
    """Image by image: is the peer heard, and what does that cost?"""
    own, peer = slow.of_labels(logits, labels), slow.of_labels(peer_logits, labels)
    apart = slow.divergences(logits, peer_logits) if swapped else slow.divergences(peer_logits, logits)
    heard = []
    for b in range(len(labels)):
        better = peer[b] < own[b]
        better = own[b] < peer[b] if upside_down else better
        better = bool(peer_logits[b].argmax() == labels[b]) if if_right else better
        better = bool(logits[b].argmax() != labels[b]) if if_wrong else better
        if by_top:
            better = slow.posteriors(peer_logits[b]).max() > slow.posteriors(logits[b]).max()
        better = bool(logits[b, labels[b]] < peer_logits[b, labels[b]]) if by_logits else better
        better = bool(peer.mean() < own.mean()) if all_or_none else better
        gap = max(np.exp(-peer[b]) - np.exp(-own[b]), 0.0)
        heard.append(1.0 if everybody else gap if by_gap else float(better))
    total = sum(h * a for h, a in zip(heard, apart, strict=True))
    many = 1 if summed else sum(heard) if kept_only else len(labels)
    return np.float64(total / many / (logits.shape[1] if over_classes else 1))


def selection_cases(rng: np.random.Generator) -> list[Case]:
    """Learner, peer, labels: some images that the peer knows better, some that it does not."""
    small = ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    found = [Case((slow.tensor(small[0]), slow.tensor(small[1]), torch.tensor([0, 0])))]
    for b, c in ((6, 3), (8, 4), (10, 7)):
        found.append(Case((slow.draw(rng, b, c), slow.draw(rng, b, c), slow.labels_for(rng, b, c))))
    labels = slow.labels_for(rng, 5, 4)
    right = 4.0 * torch.nn.functional.one_hot(labels, 4).double()
    noise = slow.draw(rng, 5, 4, size=0.5)
    found += [
        Case((right + noise, noise, labels), "a peer that knows nothing better"),
        Case((noise, right + noise, labels), "a peer that knows all better"),
        Case((noise[:1], right[:1], labels[:1]), slow.ONE_IMAGE),
        Case((slow.extreme(rng, 4, 3), -slow.extreme(rng, 4, 3), slow.labels_for(rng, 4, 3)), slow.EXTREME),
    ]
    single = (slow.draw(rng, 5, 4, dtype=torch.float32), slow.draw(rng, 5, 4, dtype=torch.float32))
    return [*found, Case((*single, labels), slow.SINGLE)]


SELECTIVE = Task(
    name="selective_mimicry",
    exercise="07",
    arguments=("logits", "peer_logits", "labels"),
    examinations=[
        Values(
            selection_cases,
            selected,
            mistakes=[
                Mistake(
                    "You compare logits. Only posteriors can be compared between networks: softmax first.",
                    by_logits=True,
                ),
                Mistake("You decide once for the whole batch; it is decided for each image.", all_or_none=True),
                Mistake(
                    "You weigh by how much better the peer knows; an image counts in full or not at all.", by_gap=True
                ),
                Mistake(
                    "The peer is heard on all images; only those count on which it gives the right class more than "
                    "the learner does.",
                    everybody=True,
                ),
                Mistake("It is the wrong way round: you hear the peer where it knows *less*.", upside_down=True),
                Mistake(
                    "You divide by the number of images that are heard. It is the mean over the whole batch, so that "
                    "a peer with little to say says it softly; and where nothing is heard you would divide by 0.",
                    kept_only=True,
                ),
                Mistake(
                    "You hear the peer where it names the right class. Asked is whether it gives the right class "
                    "more probability than the learner does.",
                    if_right=True,
                ),
                Mistake(
                    "You hear the peer where the learner is wrong. Asked is whether the peer gives the right class "
                    "more probability.",
                    if_wrong=True,
                ),
                Mistake(
                    "You compare how sure the two are, whatever of. Asked is for the probability of the *right* class.",
                    by_top=True,
                ),
                Mistake("The divergence is the wrong way round: the peer stands in front.", swapped=True),
                Mistake("The mean goes over the classes too, C times too weak.", over_classes=True),
                Mistake("It is the sum over the batch instead of the mean.", summed=True),
            ],
            laws=[
                Law(
                    lambda a, *_: a > -1e-9,
                    "It can not be below 0: it is a mean of divergences, some of them left out.",
                )
            ],
            learns=("logits",),
            targets=("peer_logits",),
            target_says="The peer is a target: detach it.",
            factors={"the number of images": lambda z, *_: len(z), "the number of classes": lambda z, *_: z.shape[1]},
        )
    ],
    hints=(
        "Three steps: the divergence of each image, (B,); for each image whether the peer is heard, (B,); their "
        "product's mean.",
        "The right class's probability of each image: gather, or index with arange(B) and labels. Compare the "
        "logarithms, then nothing can overflow.",
        "The condition becomes 0 or 1 in the type of the logits. Mean over B, whatever the condition says; detach "
        "the peer.",
    ),
    library=("losses.kl_divergence", "losses.mimicry"),
)

# --- mended_output_width ---


class Probe(nn.Module):
    """A small network with all that a careless measurement disturbs; it remembers how it was asked."""

    def __init__(self, channels: int, classes: int, dtype: torch.dtype, cells: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(cells)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(4 * cells * cells, classes))
        self.norm = nn.BatchNorm1d(classes)
        self.to(dtype)
        self.gradient = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits; images that are smaller than the cells are refused, as a real network would."""
        self.gradient |= torch.is_grad_enabled()
        out: Tensor = self.norm(self.head(self.pool(self.body(images))))
        return out


def probed(call: Caller, rng: np.random.Generator) -> int:
    """Try several networks in several states."""
    cases = [
        (3, 8, 10, torch.float32, "train", "a network in train mode"),
        (1, 5, 7, torch.float32, "train", "images with one channel"),
        (3, 6, int(rng.integers(11, 40)), torch.float32, "eval", "a network in eval mode"),
        (2, 4, 5, torch.float64, "train", "a network in float64"),
        (3, 8, 4, torch.float32, "part", "a network of which a part is frozen in eval mode"),
        (3, 8, 1, torch.float32, "train", "a single class"),
    ]
    for channels, size, classes, dtype, mode, says in cases:
        _probe(call, Probe(channels, classes, dtype, 2), channels, size, classes, mode, says)
    return len(cases)


def _probe(call: Caller, network: Probe, channels: int, size: int, classes: int, mode: str, says: str) -> None:
    network.train(mode != "eval")
    if mode == "part":
        network.body[1].eval()
    modes = [m.training for m in network.modules()]
    network.get_buffer("body.1.running_mean").add_(0.5)  # it has seen images before
    network.get_buffer("norm.num_batches_tracked").add_(7)
    network.head[1].bias.requires_grad_(False)
    learning = [w.requires_grad for w in network.parameters()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    result = call((network, channels, size), says)
    if [m.training for m in network.modules()] != modes:
        raise Refused(f"Afterwards the network is in another mode than before, with {says}. Put back each part's own.")
    for name, value in network.state_dict().items():
        if not torch.equal(value, before[name]):
            raise Refused(
                f"It changes the network: `{name}` is another one afterwards, with {says}. In train mode every forward "
                f"pass moves the running statistics of batch norm, and two networks that were built from one seed "
                f"differ "
                f"before training has begun."
            )
    if [w.requires_grad for w in network.parameters()] != learning:
        raise Refused(
            "Afterwards other weights of the network learn than before (`requires_grad`): leave that as it was."
        )
    if any(w.grad is not None for w in network.parameters()):
        raise Refused("It leaves gradients in the network.")
    if network.gradient:
        raise Refused("It records a graph for a measurement that needs none: torch.no_grad().")
    _is_width(result, classes, says)


def _is_width(result: Any, classes: int, says: str) -> None:
    if isinstance(result, bool) or not isinstance(result, int):
        raise Refused(f"It is to return a whole number, an int, but returns {type(result).__name__} with {says}.")
    if result != classes:
        raise Refused(
            f"It returns {result} for a network with {classes} outputs, with {says}. Which axis is the width?"
        )


WIDTH = Task(
    name="mended_output_width",
    exercise="07",
    arguments=("network", "channels", "size"),
    examinations=[probed],
    hints=(
        "Asking a network is not harmless. What does a forward pass in train mode change? And what does torch.randn "
        "change?",
        "Eval mode for the question, no_grad around it, and afterwards each part of the network in its own old mode.",
        "The numbers in the image do not matter: zeros, of the type and on the device of the weights. Remember "
        "(module, training) for all modules().",
    ),
)

TASKS = (SELECTIVE, WIDTH)
