"""The networks of the course, from the classroom's to the paper's, built by name.

>>> network = build("resnet32", classes=100, generator=torch.Generator().manual_seed(0))

gives a `Network`: `network(images)` are logits (B, classes), `network.features(images)` the embedding (B, D) below.
"""

import difflib
import inspect
import numbers
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dml_teach.errors import ConfigError
from dml_teach.models.inception import InceptionV1
from dml_teach.models.init import initialise
from dml_teach.models.mobilenet import MobileNet
from dml_teach.models.network import Network
from dml_teach.models.resnet import resnet
from dml_teach.models.small import SmallNet
from dml_teach.models.wide_resnet import wide_resnet

__all__ = ["NAMES", "Network", "build", "suited"]

# Name -> what makes the bare network from (classes, channels, **options); in order of size.
BUILDERS: dict[str, Callable[..., Network]] = {
    "small": SmallNet,
    "small_reid": partial(SmallNet, embedding=True),
    "resnet32": partial(resnet, 32),
    "resnet56": partial(resnet, 56),
    "mobilenet": MobileNet,
    "inception_v1": InceptionV1,
    "wrn28_10": partial(wide_resnet, 28, 10),
}
NAMES = tuple(BUILDERS)
SMALL = 64  # pixels of height or width up to which the default strides, meant for images of 32x32, are kept


def suited(name: str, height: int, width: int) -> dict[str, Any]:
    """Options for `build` that suit images of this size: {} for small ones.

    MobileNet and InceptionV1 were drawn for ImageNet. On small images they must halve their maps less often, which
    their default strides see to; on images of more than 64 pixels, Market-1501's, they halve them five times as drawn:
    the defaults would cost 16 times as much.
    """
    large = max(height, width) > SMALL
    return {"strides": (2, 2, 2, 2, 2)} if large and name in ("mobilenet", "inception_v1") else {}


def build(
    name: str,
    classes: int = 100,
    *,
    channels: int = 3,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Network:
    """Return a new network, in training mode, on the CPU, with weights drawn from `generator`.

    Args:
        name: one of `NAMES`.
        classes: the number of logits.
        channels: the colour channels of the images: 3, or 1 for grey.
        generator: a CPU generator, the only source of chance: its seed fixes the weights, and the global random state
            stays as it is. None draws from PyTorch's global generator.
        options: what the network itself offers: `width` (small), `strides` (mobilenet, inception_v1), `auxiliary`
            (inception_v1), `dropout` (wrn28_10); see there.

    Raises:
        ConfigError: the name is unknown, `classes` or `channels` is not a whole number of at least 1, or an option is
            out of range or not one of the network's.
    """
    builder = _builder(name)
    for field, number in (("classes", classes), ("channels", channels)):
        if not isinstance(number, numbers.Integral) or number < 1:
            raise ConfigError(f"{field} = {number!r}: a whole number of at least 1 is needed")
    offered = [option for option in inspect.signature(builder).parameters if option not in ("classes", "channels")]
    for option in options:
        if option not in offered:
            known = f"it has {', '.join(offered)}" if offered else "it has none"
            raise ConfigError(f"The network {name!r} has no option {option!r}: {known}")
    # On "meta" a tensor has a shape but no numbers: the constructors draw nothing, and the global state stays as it is.
    with torch.device("meta"):
        network = builder(classes=classes, channels=channels, **options)
    network.to_empty(device="cpu")
    initialise(network, generator)
    network.origin = {"network": name, "options": options}
    return network


def _builder(name: str) -> Callable[..., Network]:
    """Return the builder called `name`, or say which name may have been meant."""
    if name in BUILDERS:
        return BUILDERS[name]
    nearest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
    guess = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise ConfigError(f"There is no network {name!r}: {guess}Choose one of {', '.join(NAMES)}")
