"""Wide residual networks of Zagoruyko and Komodakis 2016 (arXiv:1605.07146)."""

import torch.nn.functional as F
from torch import Tensor, nn

from dml_teach.errors import ConfigError
from dml_teach.models.dropout import Dropout
from dml_teach.models.network import Network


def wide_resnet(depth: int, width: int, classes: int = 100, channels: int = 3, dropout: float = 0.0) -> "WideResNet":
    """Return WRN-`depth`-`width`: `depth` = 6n + 4 layers, `width` times as wide as the narrow network.

    Raises:
        ConfigError: `depth` is not 10, 16, 22, ..., `width` is below 1, or `dropout` is not in [0, 1).
    """
    if depth < 10 or depth % 6 != 4:
        raise ConfigError(f"depth = {depth!r}: a wide ResNet has 6n + 4 layers, for example 16, 28 or 40")
    if width < 1:
        raise ConfigError(f"width = {width!r}: at least 1 is needed, for example 10")
    return WideResNet((depth - 4) // 6, width, classes, channels, dropout)


class PreActivationBlock(nn.Module):
    """Batch norm and ReLU *before* each 3x3 convolution: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride).

    Where the shape changes, the shortcut is a 1x1 convolution of the activated maps; elsewhere it is the input itself.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.dropout = Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if (inputs, stride) != (outputs, 1) else None

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, outputs, H / stride, W / stride)."""
        activated = F.relu(self.norm1(maps))
        shortcut = maps if self.shortcut is None else self.shortcut(activated)
        residual = F.relu(self.norm2(self.conv1(activated)))
        residual = self.conv2(self.dropout(residual))
        return residual + shortcut


class WideResNet(Network):
    """A 3x3 stem, three stages of n blocks, 16, 32 and 64 times `width` wide, and a last batch norm and ReLU.

    At 100 classes and 3 channels WRN-28-10 has 36 536 884 parameters, the paper's "36.5M", and feature D = 640.
    `dropout` sits between a block's convolutions: 0 by default, .3 in the authors' own experiments with it on CIFAR.
    """

    def __init__(
        self, blocks_per_stage: int, width: int, classes: int = 100, channels: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        inputs = 16
        for outputs, first_stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for index in range(blocks_per_stage):
                blocks.append(PreActivationBlock(inputs, outputs, first_stride if index == 0 else 1, dropout))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last feature maps (B, 64 width, H / 4, W / 4) of images (B, channels, H, W)."""
        return F.relu(self.norm(self.blocks(self.stem(images))))
