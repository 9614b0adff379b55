"""Residual networks of four stages (He et al. 2016, table 1), with a stem for small images too."""

import torch.nn.functional as F
from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError
from sanity.networks.blocks import BasicBlock, Block, Bottleneck, conv, stage

WIDTHS = (64, 128, 256, 512)
"""Widths of the four stages; bottleneck blocks have four times as many outputs."""

BLOCKS: dict[int, tuple[type[Block], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""The blocks of each stage, by depth (the columns of the table)."""

STEMS = ("cifar", "imagenet")


class ImageNetResNet(Network):
    """A stem, four stages at strides 1, 2, 2 and 2, global average and a linear layer.

    The stem ``cifar`` is a 3x3 convolution, which leaves small images as large as they are;
    ``imagenet`` a 7x7 convolution and a 3x3 max-pool, each of stride 2, as in the table. The
    stride of a bottleneck is that of its 3x3 convolution. Names of parameters are torchvision's,
    whose checkpoints fit with the stem ``imagenet``.
    Raises ConfigError for an unknown depth or stem.
    """

    cites = ("he2016deep",)
    fan = "fan_out"

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        stem: str = "cifar",
    ) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(depth, stem)
        self.stem = stem
        kind, (first, second, third, fourth) = BLOCKS[depth]
        a, b, c, d = (width * kind.expansion for width in WIDTHS)
        small = stem == "cifar"
        self.conv1 = conv(in_channels, 64, 3) if small else conv(in_channels, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = stage(kind, 64, WIDTHS[0], first, stride=1)
        self.layer2 = stage(kind, a, WIDTHS[1], second, stride=2)
        self.layer3 = stage(kind, b, WIDTHS[2], third, stride=2)
        self.layer4 = stage(kind, c, WIDTHS[3], fourth, stride=2)
        self.fc = nn.Linear(d, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        x = F.relu(self.bn1(self.conv1(x)))
        if self.stem == "imagenet":
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


def _check(depth: int, stem: str) -> None:
    if depth not in BLOCKS:
        choices = ", ".join(str(known) for known in BLOCKS)
        raise ConfigError(f"arch.depth={depth} is no ResNet for ImageNet: choose one of {choices}")
    if stem not in STEMS:
        raise ConfigError(f"arch.stem={stem} is unknown: choose {' or '.join(STEMS)}")
