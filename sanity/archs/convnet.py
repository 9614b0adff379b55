"""The networks Conv-2, Conv-4 and Conv-6 of Frankle and Carbin 2019 (figure 2), like small VGGs."""

from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError

WIDTHS = {2: (64,), 4: (64, 128), 6: (64, 128, 256)}
"""Channels of each pair of convolutions, by depth."""

HIDDEN = 256


class ConvNet(Network):
    """Pairs of 3x3 convolutions, each followed by a 2x2 max-pool, and three linear layers.

    ``depth`` counts the convolutions. Their images keep their size, and every layer has a bias.
    For CIFAR-10 the weights are 4.3 and 2.4 million, as the figure says; for Conv-6 it says 1.7
    million, but the layers that it lists have 2.3 (1.1 of them in convolutions, as it says).
    Raises ConfigError for an unknown depth and for images that the max-pools reduce to nothing.
    """

    cites = ("frankle2019lottery",)

    def __init__(
        self, depth: int, num_classes: int, in_channels: int = 3, image_size: int = 32
    ) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(depth, image_size)
        widths = WIDTHS[depth]
        left = image_size // 2 ** len(widths)
        self.features = _features(widths, in_channels)
        self.hidden = nn.Sequential(
            nn.Linear(widths[-1] * left**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.classifier = nn.Linear(HIDDEN, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        return self.classifier(self.hidden(self.features(x).flatten(1)))


def _features(widths: tuple[int, ...], in_channels: int) -> nn.Sequential:
    modules: list[nn.Module] = []
    inputs = in_channels
    for width in widths:
        modules += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
        modules += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        inputs = width
    return nn.Sequential(*modules)


def _check(depth: int, image_size: int) -> None:
    if depth not in WIDTHS:
        choices = ", ".join(str(known) for known in WIDTHS)
        raise ConfigError(f"arch.depth={depth} is no ConvNet: choose one of {choices}")
    smallest = 2 ** len(WIDTHS[depth])
    if image_size < smallest:
        raise ConfigError(
            f"arch=conv{depth} needs dataset.image_size of at least {smallest}, not {image_size}: "
            "choose an MLP or larger images"
        )
