"""The residual networks for CIFAR of He et al. 2016 (arXiv:1512.03385, section 4.2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from dml_teach.errors import ConfigError
from dml_teach.models.network import Network


def option_a(maps: Tensor, channels: int, stride: int) -> Tensor:
    """Return the shortcut without parameters: (B, C, H, W) -> (B, channels, H / stride, W / stride).

    "Option A" of the ResNet paper: take every `stride`-th position and append channels of zeros.
    """
    if stride == 1 and maps.shape[1] == channels:
        return maps
    return F.pad(maps[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - maps.shape[1]))


def resnet(depth: int, classes: int = 100, channels: int = 3) -> "ResNet":
    """Return the CIFAR residual network of `depth` = 6n + 2 layers: ResNet-20, 32, 44, 56, 110.

    Raises:
        ConfigError: `depth` is not 8, 14, 20, ...
    """
    if depth < 8 or depth % 6 != 2:
        raise ConfigError(f"depth = {depth!r}: a CIFAR ResNet has 6n + 2 layers, for example 20, 32, 56 or 110")
    return ResNet((depth - 2) // 6, classes, channels)


class BranchNorm(nn.BatchNorm2d):
    """The last batch norm of a residual branch, whose weight starts at `scale` instead of 1.

    Every block adds its branch to the maps. With n blocks and a scale of 1 / sqrt(n) the sum keeps the size it had: the
    first loss is near ln(classes), and a rate of .1, the paper's, does not throw the network off in its first steps.
    """

    def __init__(self, features: int, scale: float) -> None:
        self.scale = scale  # before the constructor, which resets the parameters
        super().__init__(features)

    def reset_parameters(self) -> None:
        """Weight `scale`, bias 0, fresh running statistics."""
        super().reset_parameters()
        nn.init.constant_(self.weight, self.scale)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, scale: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = BranchNorm(outputs, scale)
        self.outputs, self.stride = outputs, stride

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, outputs, H / stride, W / stride)."""
        residual = F.relu(self.norm1(self.conv1(maps)))
        residual = self.norm2(self.conv2(residual))
        return F.relu(residual + option_a(maps, self.outputs, self.stride))


class ResNet(Network):
    """A 3x3 stem and three stages of n blocks, 16, 32 and 64 wide; the last two halve the maps. Feature D = 64.

    At 100 classes and 3 channels ResNet-32 (n = 5) has 470 004 parameters, the paper's "0.5M". The shortcuts are
    `option_a`, so they add none.
    """

    def __init__(self, blocks_per_stage: int, classes: int = 100, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        blocks: list[nn.Module] = []
        inputs, scale = 16, (3 * blocks_per_stage) ** -0.5
        for outputs, first_stride in ((16, 1), (32, 2), (64, 2)):
            for index in range(blocks_per_stage):
                blocks.append(BasicBlock(inputs, outputs, first_stride if index == 0 else 1, scale))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last feature maps (B, 64, H / 4, W / 4) of images (B, channels, H, W)."""
        maps: Tensor = self.blocks(F.relu(self.norm(self.stem(images))))
        return maps
