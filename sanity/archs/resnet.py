"""Residual networks for small images (He et al. 2016, section 4.2), twice as wide."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError
from sanity.networks.blocks import BasicBlock, Block, Bottleneck, conv, stage

DEEPEST = 1202  # the deepest of He et al. 2016
WIDEST = 2**16
BLOCKS: dict[str, type[Block]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(Network):
    """A stem, three stages of n blocks at strides 1, 2 and 2, global average and a linear layer.

    ``depth`` is 6n + 2, counting the two convolutions of a basic block; a bottleneck network
    keeps the number of blocks. Raises ConfigError for an impossible depth, width or block.
    """

    cites = ("he2016deep",)
    fan = "fan_out"

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        widths: Sequence[int] = (32, 64, 128),
        block: str = "basic",
    ) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(depth, widths, block)
        kind, blocks = BLOCKS[block], (depth - 2) // 6
        self.conv1 = conv(in_channels, widths[0], 3)
        self.bn1 = nn.BatchNorm2d(widths[0])
        first, second, third = (width * kind.expansion for width in widths)
        self.layer1 = stage(kind, widths[0], widths[0], blocks, stride=1)
        self.layer2 = stage(kind, first, widths[1], blocks, stride=2)
        self.layer3 = stage(kind, second, widths[2], blocks, stride=2)
        self.fc = nn.Linear(third, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


def _check(depth: int, widths: Sequence[int], block: str) -> None:
    if not 8 <= depth <= DEEPEST or (depth - 2) % 6:
        raise ConfigError(
            f"arch.depth={depth} is no ResNet: choose 6n+2, such as 8, 20, 32 or 56, and at most "
            f"{DEEPEST}"
        )
    fine = isinstance(widths, Sequence) and len(widths) == 3
    if not fine or not all(type(one) is int and 1 <= one <= WIDEST for one in widths):
        shown = list(widths) if isinstance(widths, tuple) else widths
        raise ConfigError(
            f"arch.widths={shown}: give three positive widths, one a stage, up to {WIDEST}"
        )
    if block not in BLOCKS:
        raise ConfigError(f"arch.block={block} is unknown: choose {' or '.join(BLOCKS)}")
