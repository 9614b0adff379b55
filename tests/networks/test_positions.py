"""How often weights are applied, against closed formulas; unknown where nobody can tell."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sanity.networks.positions import positions


class Convolution(nn.Conv2d):
    """One with a forward pass of its own."""

    def forward(self, input: Tensor) -> Tensor:
        """As ever, twice as large."""
        return 2 * super().forward(input)


class Small(nn.Module):
    """A convolution of each kind, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv2d(3, 4, 3, stride=2)
        self.grouped = nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=2)
        self.rows = nn.Linear(6, 6, bias=False)
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = self.grouped(self.grouped(F.relu(self.strided(x))))
        return self.fc(self.rows(x).mean(dim=(2, 3)))


class Elsewhere(Small):
    """A weight is used where its layer is not."""

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        return super().forward(x) + F.linear(torch.zeros(1, 4), self.fc.weight)


class Branches(nn.Module):
    """A layer that this image is not given to."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = x.mean(dim=(2, 3))
        return self.fc(x) if x.sum() < 1 else self.other(x)


def hooked() -> nn.Module:
    """A layer whose output is somebody else's."""
    network = Small()
    network.fc.register_forward_hook(lambda module, inputs, output: output.repeat(2, 1))
    return network


def test_every_use_counts() -> None:
    # 13 x 15 at stride 2 without padding: 6 x 7; the rows of 6 are then those along the height.
    found = positions(Small, (3, 15, 13))
    assert found == {"strided": 7 * 6, "grouped": 2 * 7 * 6, "rows": 4 * 7, "fc": 1}


@pytest.mark.parametrize(
    "factory",
    [
        lambda: nn.Sequential(Convolution(3, 4, 3), nn.Flatten(), nn.Linear(4 * 169, 10)),
        Elsewhere,
        Branches,
        hooked,
        lambda: nn.Linear(7, 7),  # takes no such images
        lambda: nn.TransformerEncoderLayer(15, 3, 8, batch_first=True),
    ],
)
def test_what_cannot_be_counted_is_not_guessed(factory: Callable[[], nn.Module]) -> None:
    assert positions(factory, (3, 15, 15)) is None


def test_no_random_state_is_touched() -> None:
    before = torch.get_rng_state()
    positions(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout()), (3, 8, 8))
    assert torch.equal(before, torch.get_rng_state())
