"""One switch for the whole course: at which scale the notebooks run.

Set the environment variable DML_TEACH_SCALE before JupyterLab starts:

    smoke      seconds; only to see that everything runs
    classroom  the default: the bundled images, a chapter in half a minute on two cores
    laptop     ResNet-32 on 5 000 images of CIFAR-100, an hour or so
    paper      ResNet-32 on CIFAR-100 as in the paper, on a GPU

The code in the cells is the same at every scale. The stored outputs are those of "classroom".
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from dml_teach.data import sets
from dml_teach.data.images import ImageSet
from dml_teach.errors import ConfigError
from dml_teach.recipes import CLASSROOM, LAPTOP, PAPER_CIFAR100, SMOKE, Recipe

VARIABLE = "DML_TEACH_SCALE"


class Scale(NamedTuple):
    """What a chapter trains with.

    Attributes:
        name: the scale's name.
        data: name of the data set.
        network: name of the usual network.
        teacher: name of a larger one.
        teacher_options: what `models.build` is told of the larger one.
        subset: number of training images; None for all that are not held out.
        recipe: hyper-parameters.
    """

    name: str
    data: str
    network: str
    teacher: str
    teacher_options: Mapping[str, Any]
    subset: int | None
    recipe: Recipe

    def images(self) -> tuple[ImageSet, ImageSet]:
        """Training and test images."""
        training, test = sets.load(self.data)
        assert isinstance(test, ImageSet)  # no scale is of a test of retrieval
        return training, test


SCALES = {
    scale.name: scale
    for scale in (
        Scale("smoke", "bundled", "small", "small", {"width": 32}, 100, SMOKE),
        Scale("classroom", "bundled", "small", "small", {"width": 32}, 500, CLASSROOM),
        Scale("laptop", "cifar100", "resnet32", "mobilenet", {}, 5000, LAPTOP),
        Scale("paper", "cifar100", "resnet32", "mobilenet", {}, None, PAPER_CIFAR100),
    )
}


def current() -> Scale:
    """The scale that DML_TEACH_SCALE names, "classroom" if it is not set.

    Raises:
        ConfigError: there is no such scale.
    """
    name = os.environ.get(VARIABLE) or "classroom"
    if name not in SCALES:
        raise ConfigError(f"{VARIABLE} is '{name}': set it to one of {', '.join(SCALES)}")
    return SCALES[name]
