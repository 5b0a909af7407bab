"""Recipes: every hyper-parameter of a run, with its unit and its source.

A recipe is data. `dataclasses.replace(CLASSROOM, epochs=5)` makes another one, and each is checked when it is made.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dml_teach.errors import ConfigError

if TYPE_CHECKING:  # a recipe is data: the command line shows its fields without waiting for PyTorch
    import torch

RISE = 0.3


def _one_cycle(share: float) -> float:
    """From 1/25 up to 1 in the first `RISE` of the run, then down to 0, each half a cosine, as PyTorch's OneCycleLR."""
    if share < RISE:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * share / RISE)) / 2
    return (1 + math.cos(math.pi * (share - RISE) / (1 - RISE))) / 2


SCHEDULES: dict[str, Callable[["Recipe", float], float]] = {
    "cosine": lambda recipe, epoch: (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2,
    "one-cycle": lambda recipe, epoch: _one_cycle(epoch / recipe.epochs),
    "step": lambda recipe, epoch: 0.1 ** (int(epoch) // recipe.step_epochs),
    "constant": lambda recipe, epoch: 1.0,
}
"""Share of the recipe's learning rate at a number of epochs into the run."""

ORDERS = ("simultaneous", "sequential")
OPTIMIZERS = ("sgd", "adam")
MIMICRY = ("pairwise", "ensemble", "summed")
PARTNERS = ("all", "one")
PRECISIONS = ("fp32", "bf16", "fp16", "auto")
RESIZE = re.compile(r"\d{1,4}x\d{1,4}(,\d{1,4}x\d{1,4})*")


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _at_least_0(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value >= 0


def _above_0(value: Any) -> bool:
    return _at_least_0(value) and value > 0


def _sizes(value: Any) -> bool:
    return value == "" or (isinstance(value, str) and bool(RESIZE.fullmatch(value)) and 0 not in sum(sizes(value), ()))


RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("epochs", "batch_size", "step_epochs", "probe_images"), (_count, "an integer of at least 1")),
    **dict.fromkeys(("learning_rate", "temperature"), (_above_0, "a finite number above 0")),
    **dict.fromkeys(
        ("weight_decay", "label_weight", "mimicry_weight", "feature_weight", "warmup_epochs"),
        (_at_least_0, "a finite number of at least 0"),
    ),
    "optimizer": (lambda v: v in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
    "second_moment": (lambda v: _above_0(v) and v < 1, "above 0 and below 1"),
    **dict.fromkeys(
        ("label_smoothing", "label_noise", "ema"), (lambda v: _at_least_0(v) and v < 1, "a share from 0 to below 1")
    ),
    "labelled": (lambda v: _above_0(v) and v <= 1, "a share above 0, up to 1"),
    "partners": (lambda v: v in PARTNERS, f"one of {', '.join(PARTNERS)}"),
    "precision": (lambda v: v in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
    "mimicry": (lambda v: v in MIMICRY, f"one of {', '.join(MIMICRY)}"),
    "momentum": (lambda v: _above_0(v) and v < 1, "above 0, for Nesterov, and below 1"),
    "schedule": (lambda v: v in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
    "order": (lambda v: v in ORDERS, f"one of {', '.join(ORDERS)}"),
    **dict.fromkeys(("augment", "crops"), (lambda v: isinstance(v, bool), "True or False")),
    "resize": (_sizes, "empty or HEIGHTxWIDTH in pixels, as 160x64; several, as 160x64,224x224, are done in turn"),
}
"""What each field must be."""


@dataclass(frozen=True)
class Recipe:
    """How the peers of a cohort are trained.

    Attributes:
        name: what the recipe is called in run folders.
        epochs: passes over the training images.
        batch_size: images a step, shared by all peers.
        learning_rate: at the start, or, of a "one-cycle", at its highest.
        optimizer: "sgd" with Nesterov momentum, or "adam".
        momentum: of SGD; Adam's first beta.
        second_moment: Adam's second beta.
        weight_decay: L2 penalty on all parameters, added to the gradient as PyTorch's SGD and Adam do.
        schedule: "cosine" (down to 0 at the end, a little every step), "one-cycle" (up from a 25th over the first three
            tenths, then down to 0 like the cosine), "step" or "constant".
        step_epochs: with "step", the rate is divided by ten every so many epochs.
        augment: random crop (reflect pad 4) and horizontal flip, drawn for each image.
        crops: with `augment`, False leaves the crops out, and images are only flipped.
        resize: HEIGHTxWIDTH to which images are resized on the device, training and test images alike, after crop and
            flip; several are done in turn, as "160x64,224x224" in the paper's code for Market-1501. Empty: none.
        temperature: T of the posteriors that peers publish and mimic.
        label_weight: weight of the cross-entropy.
        label_smoothing: share of the label that is spread over all classes.
        mimicry: "pairwise" as in the paper, "ensemble" (its DML_e), or "summed" as in its code; see `losses.MIMICRY`.
        mimicry_weight: weight of the mimicry loss.
        feature_weight: weight of the distance between the peers' features, the paper's L2 variant; 0 leaves it out.
        warmup_epochs: the mimicry loss grows from 0 to its full weight over so many epochs (a fraction is allowed), so
            that peers do not copy each other while they know nothing.
        partners: "all" to learn from the topology's mixture of teachers, or "one" to learn in every step from a single
            teacher, drawn with the topology's weights: with the mutual topology, a random partner.
        order: "simultaneous" or "sequential" (Algorithm 1 as printed).
        ema: decay of an exponential moving average of each peer's weights, which is then what is evaluated; 0: none.
        precision: of the forward pass: "fp32", "bf16", "fp16", or "auto" for what pays on the device (`devices`).
            Weights and losses are in fp32 always.
        labelled: share of the training labels that are used, the same of every class; all images are mimicked on.
        label_noise: share of the training labels that are replaced, before training, by another class at random.
        probe_images: training images held out from training, on which the peers are compared after every epoch.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    second_moment: float = 0.999
    weight_decay: float = 0.0
    schedule: str = "cosine"
    step_epochs: int = 60
    augment: bool = False
    crops: bool = True
    resize: str = ""
    temperature: float = 1.0
    label_weight: float = 1.0
    label_smoothing: float = 0.0
    mimicry: str = "pairwise"
    mimicry_weight: float = 1.0
    feature_weight: float = 0.0
    warmup_epochs: float = 0.0
    partners: str = "all"
    order: str = "simultaneous"
    ema: float = 0.0
    precision: str = "fp32"
    labelled: float = 1.0
    label_noise: float = 0.0
    probe_images: int = 200

    def __post_init__(self) -> None:
        for field, (holds, wanted) in RULES.items():
            value = getattr(self, field)
            if not holds(value):
                raise ConfigError(f"{field} must be {wanted}, got {value!r}")

    def with_(self, **changes: Any) -> "Recipe":
        """The same recipe with other values; a change of None leaves the value as it is."""
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if value is not None})


def sizes(resize: str) -> tuple[tuple[int, int], ...]:
    """The (height, width) of each step of a recipe's `resize`, in turn: "160x64,224x224" -> ((160, 64), (224, 224))."""
    pairs = (part.split("x") for part in resize.split(",") if part)
    return tuple((int(height), int(width)) for height, width in pairs)


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """The rate at `epoch` epochs into the run (a fraction within an epoch), from 0 to recipe.epochs."""
    return recipe.learning_rate * SCHEDULES[recipe.schedule](recipe, epoch)


def mimicry_weight(recipe: Recipe, epoch: float) -> float:
    """The weight of the mimicry loss at `epoch` epochs into the run."""
    return recipe.mimicry_weight * (min(1.0, epoch / recipe.warmup_epochs) if recipe.warmup_epochs else 1.0)


def build_optimizer(recipe: Recipe, parameters: "Iterable[torch.Tensor]") -> "torch.optim.Optimizer":
    """The recipe's optimizer over a network's parameters; on CUDA one fused kernel updates them all."""
    import torch

    parameters = list(parameters)
    fused = True if parameters and parameters[0].device.type == "cuda" else None
    common: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": fused}
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, betas=(recipe.momentum, recipe.second_moment), **common)
    return torch.optim.SGD(parameters, momentum=recipe.momentum, nesterov=True, **common)


CLASSROOM = Recipe(name="classroom", epochs=30, batch_size=25, learning_rate=0.05)
"""A few hundred images, small networks, one CPU core for some seconds, no augmentation: networks fit
their data and generalise badly. Expect a lower NLL from mutual learning and no clear difference in accuracy (ours:
book/recordings/demo.json, twelve seeds). The rate is the best of four settings tried on other seeds; see the README."""

SMOKE = Recipe(name="smoke", epochs=2, batch_size=25, learning_rate=0.05, probe_images=50)
"""The shortest run that exercises everything; its numbers mean nothing."""

LAPTOP = Recipe(
    name="laptop",
    epochs=15,
    batch_size=64,
    learning_rate=0.1,
    weight_decay=5e-4,
    augment=True,
    precision="auto",
    probe_images=500,
)
"""A subset of CIFAR-100 on a CPU within the hour. Rate, batch and augmentation are the paper's; weight decay is what
replications use."""

PAPER_CIFAR100 = Recipe(
    name="paper",
    epochs=200,
    batch_size=64,
    learning_rate=0.1,
    weight_decay=5e-4,
    schedule="step",
    step_epochs=60,
    augment=True,
    precision="auto",
    probe_images=500,
)
"""CIFAR-100 as the paper trains it: SGD with Nesterov momentum .9, rate .1 divided by ten every 60
epochs, 200 epochs, batches of 64, horizontal flips and random crops with reflect padding of 4. The paper is silent on
weight decay; 5e-4 is what replications use. Unlike the paper's, our run holds 500 training images out, to compare the
peers on. Expect for two ResNet-32: 71.19 / 70.75 mutual against 68.99 independent (paper), 70.95 against 69.56 (five
seeds, replication by others); this project has not run it."""

PAPER_SOURCES = {
    "epochs": "paper",
    "batch_size": "paper",
    "learning_rate": "paper",
    "optimizer": "paper: SGD with Nesterov momentum",
    "momentum": "paper",
    "weight_decay": "others: replications use 5e-4; the paper does not say",
    "schedule": "paper",
    "step_epochs": "paper",
    "augment": "paper: flip; crop from 4 pixels of reflect padding",
    "crops": "paper",
    "resize": "paper: 32x32, as they are",
    "temperature": "paper: the plain softmax",
    "label_weight": "paper: no weights",
    "label_smoothing": "paper: not mentioned for CIFAR",
    "mimicry": "paper: the mean over the peers; its code sums",
    "mimicry_weight": "paper: no weights",
    "feature_weight": "paper: only in a comparison",
    "warmup_epochs": "paper: none",
    "partners": "paper: all peers",
    "order": "ours: simultaneous; the paper prints sequential (Algorithm 1)",
    "ema": "paper: not mentioned for CIFAR",
    "precision": "ours: what pays on the device; the paper does not say",
    "labelled": "paper: all labels",
    "label_noise": "paper: none",
    "probe_images": "ours: held out from training",
}
"""Where each value of `PAPER_CIFAR100` comes from."""

_NOT_SAID = "ours: {}; the paper does not say"
_MARKET_SOURCES = {
    **dict.fromkeys(set(PAPER_SOURCES) - {"step_epochs"}, "paper: not mentioned"),
    **dict.fromkeys(("batch_size", "learning_rate", "optimizer", "momentum", "second_moment", "schedule"), "paper"),
    "epochs": "paper: 100 000 iterations",
    "augment": _NOT_SAID.format("flips, as its code"),
    "crops": _NOT_SAID.format("none, as its code"),
    "resize": _NOT_SAID.format("none, 128x64 as the images are"),
    "weight_decay": _NOT_SAID.format("none"),
    "label_smoothing": _NOT_SAID.format("none"),
    "ema": _NOT_SAID.format("none"),
    "mimicry": PAPER_SOURCES["mimicry"],
    "temperature": PAPER_SOURCES["temperature"],
    **dict.fromkeys(("label_weight", "mimicry_weight"), "paper: no weights"),
    "partners": "paper: all peers",
    **{field: PAPER_SOURCES[field] for field in ("order", "precision", "probe_images")},
}
SOURCES = {
    "paper": PAPER_SOURCES,
    "paper-market": _MARKET_SOURCES,
    "official-market": {
        **_MARKET_SOURCES,
        **dict.fromkeys(("augment", "crops", "resize", "weight_decay", "label_smoothing", "ema"), "the paper's code"),
        "epochs": "the paper's code: 200 000 iterations; the paper: 100 000",
        "mimicry": "the paper's code: the sum; the paper: the mean",
        "order": "ours: simultaneous; the paper's code takes turns, each network with a new mini-batch",
    },
}
"""Where each value of a recipe comes from, for those that the paper has a say in: recipe -> field -> source."""

MARKET_STEPS = 796
"""Batches of 16 in Market-1501's 12 936 training images less the 200 that a run holds out."""

PAPER_MARKET = Recipe(
    name="paper-market",
    epochs=math.ceil(100_000 / MARKET_STEPS),
    batch_size=16,
    learning_rate=2e-4,
    optimizer="adam",
    momentum=0.5,
    schedule="constant",
    augment=True,
    crops=False,
    precision="auto",
)
"""Market-1501 as the paper's text has it: Adam at a constant 2e-4 with betas .5 and .999, batches of 16, 100 000
iterations of classifying the 751 identities. The text is silent on size, augmentation, weight decay and smoothing:
`MARKET_SOURCES`. This project has not run it; the data are people's images that each user must obtain."""

OFFICIAL_MARKET = PAPER_MARKET.with_(
    name="official-market",
    epochs=math.ceil(200_000 / MARKET_STEPS),
    resize="160x64,224x224",
    weight_decay=4e-5,
    label_smoothing=0.1,
    mimicry="summed",
    ema=0.9999,
)
"""Market-1501 as the paper's code has it, which the paper does not tell: twice the iterations, images of 160x64 resized
to 224x224, weight decay, label smoothing, and averaged weights that are evaluated. Two things of that code are no part
of a recipe: each of its networks takes a new mini-batch where ours share one, and its test features are those of all
networks side by side, an ensemble's number. This project has not run it."""

RETRIEVAL = Recipe(
    name="retrieval",
    epochs=40,
    batch_size=32,
    learning_rate=1e-2,
    optimizer="adam",
    schedule="one-cycle",
    augment=True,
    probe_images=60,
)
"""Tiny re-identification in the classroom: TinyMarket or Omniglot, two small_reid, a minute on one CPU core. Chosen on
another drawing of TinyMarket, where after 20 epochs Adam with a rate that first rises had fitted the training people
and Adam down a plain cosine had not; the network without a batch norm before its head was given up there, and on other
characters of Omniglot. Expect what book/recordings/tiny_market.json and omniglot.json hold."""

RECIPES = {
    recipe.name: recipe
    for recipe in (SMOKE, CLASSROOM, RETRIEVAL, LAPTOP, PAPER_CIFAR100, PAPER_MARKET, OFFICIAL_MARKET)
}


def by_name(name: str) -> Recipe:
    """The recipe of that name."""
    if name not in RECIPES:
        raise ConfigError(f"recipe '{name}' is not known: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
