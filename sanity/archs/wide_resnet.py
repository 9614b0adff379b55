"""Wide residual networks for small images (Zagoruyko and Komodakis 2016, table 1), no dropout."""

import torch.nn.functional as F
from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError
from sanity.networks.blocks import Preactivation, conv, stage

DEEPEST = 1000
WIDEST = 1024


class WideResNet(Network):
    """A 3x3 convolution, three stages of n blocks, norm, ReLU, global average and a linear layer.

    ``depth`` is 6n + 4, counting all convolutions, those of shortcuts too; stages at strides 1, 2
    and 2 have 16, 32 and 64 channels times ``width``, the paper's k.
    Raises ConfigError for an impossible depth or width.
    """

    cites = ("zagoruyko2016wide",)
    fan = "fan_out"  # as in the authors' code

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
    ) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(depth, width)
        blocks = (depth - 4) // 6
        self.conv1 = conv(in_channels, 16, 3)
        self.layer1 = stage(Preactivation, 16, 16 * width, blocks, stride=1)
        self.layer2 = stage(Preactivation, 16 * width, 32 * width, blocks, stride=2)
        self.layer3 = stage(Preactivation, 32 * width, 64 * width, blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean(dim=(2, 3)))


def _check(depth: int, width: int) -> None:
    if not 10 <= depth <= DEEPEST or (depth - 4) % 6:
        raise ConfigError(
            f"arch.depth={depth} is no wide ResNet: choose 6n+4, such as 16, 22, 28 or 40, and at "
            f"most {DEEPEST}"
        )
    if not 1 <= width <= WIDEST:
        raise ConfigError(f"arch.width={width} is not possible: choose 1 to {WIDEST}")
