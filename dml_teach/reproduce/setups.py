"""What stands for the paper's networks and images at each scale. The scales are those of the book.

Below "paper" the networks and the images are stand-ins, the same for all targets:

    smoke      seconds; only to see that everything runs
    classroom  small networks of three widths on the bundled images, or on TinyMarket: minutes on two cores
    laptop     the paper's smaller networks on 5 000 images of CIFAR-100, small ones where it takes many: hours
    paper      the paper's networks, images and recipe, for GPUs
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dml_teach import models
from dml_teach.data import sets
from dml_teach.recipes import CLASSROOM, LAPTOP, PAPER_CIFAR100, PAPER_MARKET, RETRIEVAL, SMOKE, Recipe

SCALES = ("smoke", "classroom", "laptop", "paper")


class Setup(NamedTuple):
    """What stands for the paper's networks and images at one scale.

    Attributes:
        data: name of the data set.
        recipe: hyper-parameters.
        subset: training images; None for all that are not held out.
        networks: of the paper, each with the name and the options of the one that is trained; without those that are
            too large for the scale.
    """

    data: str
    recipe: Recipe
    subset: int | None
    networks: Mapping[str, tuple[str, dict[str, Any]]]


WIDTHS = {"ResNet-32": ("small", {}), "MobileNet": ("small", {"width": 24}), "WRN-28-10": ("small", {"width": 32})}
CIFAR: Mapping[str, tuple[str, dict[str, Any]]] = {
    "ResNet-32": ("resnet32", {}),
    "MobileNet": ("mobilenet", {}),
    "WRN-28-10": ("wrn28_10", {}),
}
FINDERS = {"MobileNet": ("small_reid", {}), "InceptionV1": ("small_reid", {"width": 24})}


def _for_market(name: str) -> tuple[str, dict[str, Any]]:
    facts = sets.FACTS["market1501"]
    return name, {field: list(value) for field, value in models.suited(name, facts.height, facts.width).items()}


MARKET = {"MobileNet": _for_market("mobilenet"), "InceptionV1": _for_market("inception_v1")}
CLASSES = {
    "smoke": Setup("bundled", SMOKE, 100, WIDTHS),
    "classroom": Setup("bundled", CLASSROOM, 500, WIDTHS),
    "laptop": Setup("cifar100", LAPTOP, 5000, {name: CIFAR[name] for name in ("ResNet-32", "MobileNet")}),
    "paper": Setup("cifar100", PAPER_CIFAR100, None, CIFAR),
}
"""For the tables on CIFAR."""
COHORTS = {
    "smoke": Setup("bundled", SMOKE, 100, {"MobileNet": ("small", {})}),
    "classroom": Setup("bundled", CLASSROOM, 500, {"MobileNet": ("small", {})}),
    "laptop": Setup(
        "cifar100",
        CLASSROOM.with_(name="cohorts", epochs=40, learning_rate=0.1, probe_images=500),
        2000,
        {"MobileNet": ("small", {})},
    ),
    "paper": Setup("market1501", PAPER_MARKET, None, MARKET),
}
"""For the figures on the number of peers, which the paper draws on Market-1501."""
PEOPLE = {
    "smoke": Setup("tiny-market", RETRIEVAL.with_(name="smoke", epochs=1), 100, FINDERS),
    "classroom": Setup("tiny-market", RETRIEVAL.with_(epochs=30), 600, FINDERS),
    "laptop": Setup("tiny-market", RETRIEVAL, 1140, FINDERS),
    "paper": Setup("market1501", PAPER_MARKET, None, MARKET),
}
"""For the tables on Market-1501."""
