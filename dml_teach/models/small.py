"""The classroom network: small enough that a laptop trains a pair of peers while you read the next paragraph."""

from torch import Tensor, nn

from dml_teach.models.network import Network, conv_bn_relu


class SmallNet(Network):
    """Four 3x3 convolutions (16, 32, 64 and 64 wide), a max-pool after the first and the second, feature D = 64.

    67 188 parameters at 100 classes and 3 channels, 61 050 at 10 classes and 1 channel. Images from 4x4 up. Pooling
    this early more than doubles the speed against pooling after the second and the third convolution.
    """

    def __init__(self, classes: int = 100, channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn_relu(channels, 16),  # (B, 16, H, W)
            nn.MaxPool2d(2),
            conv_bn_relu(16, 32),  # (B, 32, H / 2, W / 2)
            nn.MaxPool2d(2),
            conv_bn_relu(32, 64),  # (B, 64, H / 4, W / 4)
            conv_bn_relu(64, 64),
        )
        self.head = nn.Linear(64, classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last feature maps (B, 64, H / 4, W / 4) of images (B, channels, H, W)."""
        maps: Tensor = self.body(images)
        return maps
