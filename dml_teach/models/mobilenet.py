"""MobileNet, version 1, of Howard et al. 2017 (arXiv:1704.04861), with its strides set for small images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dml_teach.models.network import Network, checked_strides, conv_bn_relu

STAGES = ("the stem", "the 128-wide stage", "the 256-wide stage", "the 512-wide stage", "the 1024-wide stage")
WIDTHS = ((128, 128), (256, 256), (512, 512, 512, 512, 512, 512), (1024, 1024))  # of the blocks in the last four stages


def depthwise_in_fp32_on_cpu(convolution: nn.Conv2d, maps: Tensor) -> Tensor:
    """Apply a depthwise convolution, under CPU autocast in fp32: (B, C, H, W) -> (B, C, H / stride, W / stride).

    bf16 depthwise kernels are slow on CPUs: left to autocast, MobileNet can train more slowly than in plain fp32.
    """
    if maps.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return convolution(maps)
    with torch.autocast("cpu", enabled=False):
        return convolution(maps.float())


class DepthwiseSeparable(nn.Module):
    """A 3x3 convolution in space, one filter per channel, then a 1x1 convolution across channels.

    (B, inputs, H, W) -> (B, outputs, H / stride, W / stride). At stride 1 and with many channels the pair costs about a
    ninth of the full 3x3 convolution that it replaces.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
        self.norm = nn.BatchNorm2d(inputs)
        self.pointwise = conv_bn_relu(inputs, outputs, kernel=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, outputs, H / stride, W / stride)."""
        maps = F.relu(self.norm(depthwise_in_fp32_on_cpu(self.depthwise, maps)))
        maps = self.pointwise(maps)
        return maps


class MobileNet(Network):
    """A 3x3 stem of 32 channels and 13 depthwise separable blocks, 64 to 1024 wide. Feature D = 1024.

    At 100 classes and 3 channels it has 3 309 476 parameters, the paper's "3.3M". `strides` holds the strides of the
    five places where the ImageNet network halves its maps: the stem and the first block of the stage that is 128, 256,
    512, 1024 wide. The paper does not give its strides for 32x32 images, and they matter more than mutual learning
    does. CIFAR-100 top-1 of a network trained alone, each as reported by others:

    | strides | last maps of a 32x32 image | top-1 |
    |---|---|---|
    | (1, 1, 2, 2, 2), the default | 4x4 | 73.65 (one source; it may repeat the paper's figure) |
    | (1, 2, 2, 2, 2) | 2x2 | 64.6 (five seeds) |
    | (2, 2, 2, 2, 2), as for ImageNet | 1x1 | 67 |

    Twice the side costs up to four times the work.

    Raises:
        ConfigError: `strides` is not five numbers, each 1 or 2.
    """

    def __init__(self, classes: int = 100, channels: int = 3, strides: Sequence[int] = (1, 1, 2, 2, 2)) -> None:
        super().__init__()
        stem_stride, *stage_strides = checked_strides(strides, STAGES)
        self.stem = conv_bn_relu(channels, 32, stride=stem_stride)
        blocks: list[nn.Module] = [DepthwiseSeparable(32, 64, stride=1)]
        inputs = 64
        for widths, first_stride in zip(WIDTHS, stage_strides, strict=True):
            for index, outputs in enumerate(widths):
                blocks.append(DepthwiseSeparable(inputs, outputs, first_stride if index == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last feature maps (B, 1024, h, w) of images (B, channels, H, W): 4x4 for 32x32 by default."""
        maps: Tensor = self.blocks(self.stem(images))
        return maps
