"""Multilayer perceptrons, LeNet-300-100 among them (LeCun et al. 1998, section III.C)."""

from collections.abc import Sequence

from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError

WIDEST = 2**16
DEEPEST = 1000


class MLP(Network):
    """Hidden linear layers of the widths ``hidden``, a ReLU after each, and a last linear layer.

    LeNet-300-100 has the widths 300 and 100; its units are ReLUs, as everybody's who prunes it.
    Raises ConfigError for impossible widths.
    """

    cites = ("lecun1998gradient",)

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        hidden: Sequence[int] = (256, 256),
    ) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(hidden)
        modules: list[nn.Module] = []
        inputs = in_channels * image_size**2
        for width in hidden:
            modules += [nn.Linear(inputs, width), nn.ReLU()]
            inputs = width
        self.hidden = nn.Sequential(*modules)
        self.classifier = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        return self.classifier(self.hidden(x.flatten(1)))


def _check(hidden: Sequence[int]) -> None:
    fine = isinstance(hidden, Sequence) and 1 <= len(hidden) <= DEEPEST
    if not fine or not all(type(one) is int and 1 <= one <= WIDEST for one in hidden):
        shown = list(hidden) if isinstance(hidden, tuple) else hidden
        raise ConfigError(
            f"arch.hidden={shown}: give positive widths, one a hidden layer, up to {WIDEST}"
        )
