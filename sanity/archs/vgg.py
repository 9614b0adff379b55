"""VGG networks (Simonyan and Zisserman 2015, table 1) with one linear layer, for small images."""

from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the five stages; a 2x2 max-pool stands between one stage and the next."""

CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""How many 3x3 convolutions each stage has, by depth (the paper's columns A, B, D and E)."""

SMALLEST_IMAGE = 2 ** (len(WIDTHS) - 1)


class VGG(Network):
    """Five stages of 3x3 convolutions, global average and a linear layer.

    Convolutions have a bias even before a batch norm, as the networks of the paper's tables do.
    Raises ConfigError for an unknown depth and for images that the max-pools reduce to nothing.
    """

    cites = ("simonyan2015very",)
    fan = "fan_in"

    def __init__(
        self,
        depth: int,
        batch_norm: bool,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
    ) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(depth, batch_norm, image_size)
        self.features = _features(CONVOLUTIONS[depth], batch_norm, in_channels)
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def _features(stages: tuple[int, ...], batch_norm: bool, in_channels: int) -> nn.Sequential:
    modules: list[nn.Module] = []
    inputs = in_channels
    for width, convolutions in zip(WIDTHS, stages, strict=True):
        if modules:
            modules.append(nn.MaxPool2d(2))
        for _ in range(convolutions):
            modules.append(nn.Conv2d(inputs, width, 3, padding=1))
            if batch_norm:
                modules.append(nn.BatchNorm2d(width))
            modules.append(nn.ReLU())
            inputs = width
    return nn.Sequential(*modules)


def _check(depth: int, batch_norm: bool, image_size: int) -> None:
    if depth not in CONVOLUTIONS:
        choices = ", ".join(str(known) for known in CONVOLUTIONS)
        raise ConfigError(f"arch.depth={depth} is no VGG: choose one of {choices}")
    if image_size < SMALLEST_IMAGE:
        raise ConfigError(
            f"arch=vgg{depth}{'_bn' if batch_norm else ''} needs dataset.image_size of at least "
            f"{SMALLEST_IMAGE}, not {image_size}: choose a ResNet or larger images"
        )
