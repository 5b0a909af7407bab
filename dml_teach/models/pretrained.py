"""ImageNet weights for InceptionV1, from torchvision's GoogLeNet, and why for no other network.

torchvision has no MobileNet of version 1, no ResNet-32 and no WRN-28-10; its GoogLeNet is an InceptionV1 up to this:

- its "5x5" branches are 3x3. They go into the middle of ours with zeros around, which computes the same;
- its batch norms add .001 to the variance, ours .00001. The difference goes into the running variance: the same, too;
- its pools between the blocks have no padding, and the one before 5a looks at 2x2. Ours see maps that are shifted by a
  pixel. So what is loaded is a start for training and no equal copy;
- it was trained on (pixel / 255 - .5) / .5; `data.batches` uses the mean and deviation of the data at hand;
- the head of 1000 classes is left out. Two peers that start from these weights differ in their heads alone.

The paper's code loads no such weights.

>>> peer = models.build("inception_v1", classes=751, strides=(2, 2, 2, 2, 2))
>>> pretrained.load(peer, pretrained.download())
"""

from collections.abc import Mapping
from urllib.error import URLError

import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach.errors import ConfigError, DataError
from dml_teach.models.inception import InceptionV1

THEIR_EPS, OUR_EPS = 1e-3, 1e-5
BLOCKS = {
    **{"3a": "to_4a.0", "3b": "to_4a.1", "4a": "to_4a.3"},
    **{"4b": "to_4d.0", "4c": "to_4d.1", "4d": "to_4d.2"},
    **{"4e": "to_5b.0", "5a": "to_5b.2", "5b": "to_5b.3"},
}
BRANCHES = {
    "branch1": "one",
    **{f"branch2.{n}": f"three.{n}" for n in (0, 1)},
    **{f"branch3.{n}": f"five.{n}" for n in (0, 1)},
    "branch4.1": "pool.1",
}
UNITS = {
    **{"conv1": "stem.0", "conv2": "stem.2", "conv3": "stem.3"},
    **{
        f"inception{block}.{branch}": f"{place}.{part}"
        for block, place in BLOCKS.items()
        for branch, part in BRANCHES.items()
    },
}
"""Convolution with its batch norm: torchvision's name -> ours."""


def download() -> dict[str, Tensor]:
    """torchvision's weights of GoogLeNet on ImageNet, fetched once (52 MB) and checked by hash.

    Raises:
        DataError: there is no network, or the file is damaged.
    """
    from torchvision.models import GoogLeNet_Weights

    try:
        # weights_only: the file is torchvision's and a pickle; PyTorch's restricted reader makes tensors of it and
        # runs nothing.
        weights = GoogLeNet_Weights.IMAGENET1K_V1
        return dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"ImageNet weights of GoogLeNet can not be fetched ({' '.join(str(error).split())}); train from the start,"
            " or call this once where there is a network"
        ) from error


@torch.no_grad()
def load(network: InceptionV1, theirs: Mapping[str, Tensor]) -> InceptionV1:
    """Put torchvision's weights (`download`) into all of a network but its head, and return it.

    Raises:
        ConfigError: it is no InceptionV1 for colour images.
        DataError: a tensor is missing or has another shape; the network is as it was.
    """
    if not isinstance(network, InceptionV1) or network.get_parameter("stem.0.0.weight").shape[1] != 3:
        raise ConfigError("ImageNet weights fit an inception_v1 of 3 channels alone; torchvision has none for others")
    own, found = network.state_dict(), {}
    for unit, place in UNITS.items():
        for name in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
            source = f"{unit}.{name}"
            target = f"{place}.{name.replace('conv', '0').replace('bn', '1')}"
            if source not in theirs:
                raise DataError(f"{source}: not among these weights; give those of torchvision's googlenet")
            value = theirs[source]
            if place.endswith("five.1") and name == "conv.weight":
                value = F.pad(value, (1, 1, 1, 1))
            if name == "bn.running_var":
                value = value + THEIR_EPS - OUR_EPS
            if value.shape != own[target].shape:
                raise DataError(f"{source}: shape {tuple(value.shape)}, wanted {tuple(own[target].shape)}")
            found[target] = value
    network.load_state_dict(found, strict=False)
    return network
