"""Inception V1, "GoogLeNet", of Szegedy et al. 2015 (arXiv:1409.4842), with batch norm and strides for small images."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dml_teach.errors import ConfigError
from dml_teach.models.network import Network, checked_strides, conv_bn_relu

STAGES = ("the 7x7 stem", "the pool behind it", "the pool before 3a", "the pool before 4a", "the pool before 5a")


class Widths(NamedTuple):
    """The channels inside one inception block: a row of Table 1 in the GoogLeNet paper."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool: int

    @property
    def outputs(self) -> int:
        """The channels that leave the block: those of its four branches side by side."""
        return self.one + self.three + self.five + self.pool


TABLE = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}


def pool(stride: int) -> nn.Module:
    """Return a 3x3 max-pool that halves the maps, or, for stride 1, nothing."""
    return nn.MaxPool2d(3, stride=2, padding=1) if stride == 2 else nn.Identity()


class InceptionBlock(nn.Module):
    """Look at 1x1, 3x3 and 5x5 neighbourhoods and at a 3x3 maximum, side by side.

    (B, inputs, H, W) -> (B, widths.outputs, H, W). The 1x1 convolutions make the 3x3 and 5x5 behind them affordable.
    """

    def __init__(self, inputs: int, widths: Widths) -> None:
        super().__init__()
        self.one = conv_bn_relu(inputs, widths.one, kernel=1)
        self.three = nn.Sequential(
            conv_bn_relu(inputs, widths.three_reduce, kernel=1),
            conv_bn_relu(widths.three_reduce, widths.three, kernel=3),
        )
        self.five = nn.Sequential(
            conv_bn_relu(inputs, widths.five_reduce, kernel=1),
            conv_bn_relu(widths.five_reduce, widths.five, kernel=5),
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv_bn_relu(inputs, widths.pool, kernel=1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, outputs, H, W)."""
        return torch.cat([self.one(maps), self.three(maps), self.five(maps), self.pool(maps)], dim=1)


class AuxiliaryHead(nn.Sequential):
    """A second opinion from halfway up: maps (B, inputs, h, w), averaged to 2x2, -> logits (B, classes)."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(2),
            conv_bn_relu(inputs, 128, kernel=1),
            nn.Flatten(),
            nn.Linear(4 * 128, 1024),
            nn.ReLU(),
            nn.Linear(1024, classes),
        )


class InceptionV1(Network):
    """The 7x7, 1x1, 3x3 stem and nine inception blocks, with true 5x5 branches. Feature D = 1024.

    At 100 classes and 3 channels it has 6 083 332 parameters. The paper prints "7.8M" for its InceptionV1; we know no
    plain layout that has so many, and nothing is added here to reach it. `auxiliary` adds the two auxiliary heads of
    the original, after 4a and 4d (maps averaged to 2x2), and brings it to 7 472 588. `forward` returns the main head's
    logits either way; `all_logits` returns all three.

    `strides` holds the strides of the five places where the ImageNet network halves its maps. The default keeps the
    full resolution up to 3b: a 32x32 image is seen at 32x32, then 16x16 (4a to 4e) and 8x8 (5a, 5b). The ImageNet
    strides, (2, 2, 2, 2, 2), are meant for 224x224 images and would leave one position of a 32x32 image. Where a pool's
    stride is 1 there is no pool. Batch norm takes the place of the original's response normalisation; there is no
    dropout.

    Raises:
        ConfigError: `strides` is not five numbers, each 1 or 2.
    """

    def __init__(
        self,
        classes: int = 100,
        channels: int = 3,
        strides: Sequence[int] = (1, 1, 1, 2, 2),
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        stem, behind_stem, before_3a, before_4a, before_5a = checked_strides(strides, STAGES)
        inputs = {name: before.outputs for name, before in zip(list(TABLE)[1:], TABLE.values(), strict=False)}
        block = {name: InceptionBlock(inputs.get(name, 192), widths) for name, widths in TABLE.items()}
        self.stem = nn.Sequential(
            conv_bn_relu(channels, 64, kernel=7, stride=stem),
            pool(behind_stem),
            conv_bn_relu(64, 64, kernel=1),
            conv_bn_relu(64, 192, kernel=3),
            pool(before_3a),
        )
        self.to_4a = nn.Sequential(block["3a"], block["3b"], pool(before_4a), block["4a"])
        self.to_4d = nn.Sequential(block["4b"], block["4c"], block["4d"])
        self.to_5b = nn.Sequential(block["4e"], pool(before_5a), block["5a"], block["5b"])
        self.head = nn.Linear(TABLE["5b"].outputs, classes)
        # Last, so that a seed gives the rest of the network the same weights with and without them.
        heads = [AuxiliaryHead(TABLE[name].outputs, classes) for name in ("4a", "4d")] if auxiliary else []
        self.auxiliary_heads = nn.ModuleList(heads)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last feature maps (B, 1024, h, w) of images (B, channels, H, W): 8x8 for 32x32 by default."""
        maps: Tensor = self.to_5b(self.to_4d(self.to_4a(self.stem(images))))
        return maps

    def all_logits(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits (B, classes) of the head and of the auxiliary heads after 4a and 4d, from one pass.

        The original adds the auxiliary losses with weight .3 in training and drops these heads afterwards.

        Raises:
            ConfigError: the network was built without auxiliary heads.
        """
        if not self.auxiliary_heads:
            raise ConfigError("inception_v1 was built without auxiliary heads: build it with auxiliary=True")
        after_4a = self.to_4a(self.stem(images))
        after_4d = self.to_4d(after_4a)
        feature = self.to_5b(after_4d).mean(dim=(2, 3))
        first, second = self.auxiliary_heads
        return self.head(feature), first(after_4a), second(after_4d)
