"""Networks as users bring them, each odd in one way; importable, so that runs can name them."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Pooled(nn.Module):
    """A convolution, global average and a linear layer: 216 + 80 prunable weights for colours."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        return self.fc(F.relu(self.features(self.conv(x))).mean(dim=(2, 3)))

    def features(self, x: Tensor) -> Tensor:
        """What stands between."""
        return x


class GroupNormed(Pooled):
    """Normalises each image by itself, after its mean is taken away."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        self.norm = nn.GroupNorm(2, 8)

    def features(self, x: Tensor) -> Tensor:
        """Normalised."""
        return self.norm(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        return super().forward(x - x.mean(dim=(1, 2, 3), keepdim=True))


class Dropping(Pooled):
    """With dropout."""

    def features(self, x: Tensor) -> Tensor:
        """Half of it."""
        return F.dropout(x, 0.5, self.training)


class DroppingByPython(Pooled):
    """Leaves something out by Python's and NumPy's chance."""

    def features(self, x: Tensor) -> Tensor:
        """All of it or half of it."""
        if self.training and random.random() < 0.5:
            return x * float(np.random.rand())
        return x


class DroppingByItself(Pooled):
    """Draws from a generator that nobody else knows."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        self.chance = np.random.default_rng(0)

    def features(self, x: Tensor) -> Tensor:
        """More or less of it."""
        return x * float(self.chance.random())


class DrawnByNumpy(Pooled):
    """Initialises itself with NumPy's global generator, and Python's."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        with torch.no_grad():
            drawn = np.random.normal(0, 0.3, tuple(self.conv.weight.shape))
            self.conv.weight.copy_(torch.from_numpy(drawn))
            self.fc.bias.fill_(random.random())


class DrawnByItself(Pooled):
    """Initialises itself with a generator that begins anywhere."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        with torch.no_grad():
            drawn = np.random.default_rng().normal(0, 0.3, tuple(self.conv.weight.shape))
            self.conv.weight.copy_(torch.from_numpy(drawn))


class Constant(Pooled):
    """Begins with the same weights whatever the seed."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.1)


class Tied(nn.Module):
    """Layers of one weight, a module under two names, a buffer of switches, an unused head."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.again = self.conv
        self.switches: Tensor
        self.register_buffer("switches", torch.ones(8, dtype=torch.bool))
        self.fc = nn.Linear(8, num_classes)
        self.head = nn.Linear(8, 100)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = F.relu(self.again(x)).mean(dim=(2, 3)) * self.switches
        return self.fc(F.relu(self.second(F.relu(self.first(x)))))


class Attentive(nn.Module):
    """Pixels that attend to each other."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, 8, 2, stride=2)
        self.place = nn.Parameter(torch.randn(16, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, 8, 8] -> logits."""
        x = self.embed(x).flatten(2).transpose(1, 2) + self.place
        attended, _ = self.attention(x, x, x, need_weights=False)
        return self.fc(self.norm(x + attended).mean(dim=1))


class Backwards(nn.Module):
    """Its layers are made in another order than images pass through them."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.fc = nn.Linear(8, num_classes)
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        return self.fc(F.relu(self.conv(x)).mean(dim=(2, 3)))


class Residual(nn.Module):
    """A block and a shortcut around it, and no word of that."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = F.relu(self.stem(x))
        return self.fc(F.relu(x + self.norm(self.conv(x))).mean(dim=(2, 3)))


class ZeroGamma(Residual):
    """The same, whose block gives nothing at first."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        nn.init.zeros_(self.norm.weight)


class ZeroHead(Pooled):
    """Its last layer begins at 0, as those of ViTs do."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        nn.init.zeros_(self.fc.weight)


class Unseen(Pooled):
    """A part of it is none of PyTorch's."""

    def features(self, x: Tensor) -> Tensor:
        """As before, by way of NumPy."""
        return torch.from_numpy(x.detach().numpy())


class Discarding(Pooled):
    """Asks a head that nobody hears."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__(num_classes, channels)
        self.other = nn.Linear(8, 3)

    def features(self, x: Tensor) -> Tensor:
        """As before."""
        self.other(x.mean(dim=(2, 3)))
        return x


class Headless(nn.Module):
    """Its logits are sums of features."""

    def __init__(self, num_classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * num_classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        one, other = F.relu(self.conv(x)).mean(dim=(2, 3)).chunk(2, dim=1)
        return one + other


def pooled(num_classes: int = 10, channels: int = 1) -> Pooled:
    """A function that says what it returns."""
    return Pooled(num_classes, channels)


def unsaid(num_classes: int = 10, channels: int = 1):  # type: ignore[no-untyped-def]
    """A function that does not."""
    return Pooled(num_classes, channels)


def liar(num_classes: int = 10, channels: int = 1) -> nn.Module:
    """A function that says what is not so."""
    return "a network"  # type: ignore[return-value]
