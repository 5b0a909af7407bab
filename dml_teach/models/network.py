"""What every network of this folder is: images become maps, maps become a feature, the feature becomes logits."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from dml_teach.errors import ConfigError


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride), rounded up.

    The convolution has no bias, because the batch norm behind it would subtract it again.
    """
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def checked_strides(strides: Sequence[int], stages: Sequence[str]) -> tuple[int, ...]:
    """Return `strides` as a tuple: one 1 or 2 for each of the named `stages`.

    Raises:
        ConfigError: there are too few or too many strides, or one is neither 1 nor 2.
    """
    if len(strides) != len(stages) or not set(strides) <= {1, 2}:
        raise ConfigError(f"strides = {strides!r}: give {len(stages)} numbers, each 1 or 2, for {', '.join(stages)}")
    return tuple(strides)


class Network(nn.Module):
    """A classifier in two parts, a body that sees and a head that decides.

    A network supplies `maps` and `head`. The rest all share: features = mean of maps, logits = head(features).
    """

    head: nn.Linear
    origin: dict[str, Any] | None = None  # {"network": name, "options": {...}}: what `build` made it from

    def maps(self, images: Tensor) -> Tensor:
        """Return the last feature maps (B, D, h, w) of images (B, channels, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} has no maps")

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding (B, D) of images (B, channels, H, W): the last maps, averaged over their positions."""
        return self.maps(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes) for normalised images (B, channels, H, W)."""
        logits: Tensor = self.head(self.features(images))
        return logits
