"""The classroom network: small enough that a laptop trains a pair of peers while you read the next paragraph."""

import numbers

import torch.nn.functional as F
from torch import Tensor, nn

from dml_teach.errors import ConfigError
from dml_teach.models.network import Network, conv_bn_relu


class NormOfImages(nn.BatchNorm2d):
    """Batch norm of one value per image and channel, (B, C, 1, 1) -> (B, C, 1, 1).

    A batch of a single image, as the last of an epoch may be, has no spread to be divided by: it is normalised as in
    evaluation, by the running statistics, which it leaves as they are.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return the normalised values."""
        if self.training and len(values) == 1:
            return F.batch_norm(values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(values)


class SmallNet(Network):
    """Four 3x3 convolutions (16, 32, 64 and 64 wide), a max-pool after the first and the second, feature D = 64.

    67 188 parameters at 100 classes and 3 channels, 61 050 at 10 classes and 1 channel. Images from 4x4 up. Pooling
    this early more than doubles the speed against pooling after the second and the third convolution.

    `width` is that of the first convolution, 16 above; the others are two and four times as wide, and so is D. At 32
    there are 241 898 parameters (10 classes, 1 channel): a larger teacher for the same images.

    With `embedding`, the network is one to be found by: a third max-pool after the third convolution, for images twice
    as high, and a batch norm between the mean of the maps and the head. Its features then vary around 0, in every
    direction alike, and it fits many identities with few images each in fewer epochs. This is "small_reid".

    Raises:
        ConfigError: `width` is not a whole number of at least 1.
    """

    def __init__(self, classes: int = 100, channels: int = 3, width: int = 16, embedding: bool = False) -> None:
        super().__init__()
        if isinstance(width, bool) or not isinstance(width, numbers.Integral) or width < 1:
            raise ConfigError(f"width = {width!r}: a whole number of at least 1 is needed")
        w = int(width)
        self.body: nn.Sequential = nn.Sequential(
            conv_bn_relu(channels, w),  # (B, w, H, W)
            nn.MaxPool2d(2),
            conv_bn_relu(w, 2 * w),  # (B, 2w, H / 2, W / 2)
            nn.MaxPool2d(2),
            conv_bn_relu(2 * w, 4 * w),  # (B, 4w, H / 4, W / 4)
            *([nn.MaxPool2d(2)] if embedding else []),
            conv_bn_relu(4 * w, 4 * w),
            *([nn.AdaptiveAvgPool2d(1), NormOfImages(4 * w)] if embedding else []),
        )
        self.head = nn.Linear(4 * w, classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last maps (B, 4 width, H / 4, W / 4) of images (B, channels, H, W); with `embedding`, 1 x 1."""
        maps: Tensor = self.body(images)
        return maps
