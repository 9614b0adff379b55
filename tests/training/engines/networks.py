"""Networks and masks for tests of engines."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.archs.base import Network
from sanity.archs.resnet import ResNet
from sanity.archs.vgg import VGG
from sanity.networks.layers import prunable_weights
from sanity.pruning.masks import Mask

Shape = tuple[int, int, int]


class Preactivation(Network):
    """What is added is read before its norm too; a strided 3x3 shortcut, a pool of 3, no ReLU."""

    def __init__(self) -> None:
        super().__init__((2, 13, 13))
        self.stem = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.down = nn.Conv2d(6, 9, 3, stride=2, padding=1)
        self.around = nn.Conv2d(6, 9, 1, stride=2, bias=False)
        self.wide = nn.Conv2d(9, 5, (3, 2), padding=1)
        self.pool = nn.MaxPool2d(3)
        self.last = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.inner(F.relu(self.norm(x))).add(x)
        x = self.down(x).add(self.around(x))
        x = self.last(self.pool(self.wide(x.relu())))
        return self.head(torch.flatten(x.mean((2, 3), keepdim=True), 1))


class Inception(Network):
    """Two ways from one value, on each of which a pool of 3 leaves a row and a column out."""

    def __init__(self) -> None:
        super().__init__((2, 13, 13))
        self.stem = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(3)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = self.pool(self.inner(x)).add(self.pool(x))
        return self.head(torch.flatten(x.mean((2, 3), keepdim=True), 1))


def network(name: str) -> tuple[nn.Module, Shape]:
    """A network with initial weights, and the shape of its images."""
    known: dict[str, Network] = {
        "resnet": ResNet(8, 4, in_channels=1, image_size=8, widths=(5, 6, 7)),
        "bottleneck": ResNet(8, 4, image_size=7, widths=(3, 4, 5), block="bottleneck"),
        "vgg_bn": VGG(13, True, 4, in_channels=1, image_size=17),
        "vgg": VGG(11, False, 4, image_size=16),
        "preactivation": Preactivation(),
        "inception": Inception(),
    }
    found = known[name]
    random = torch.Generator().manual_seed(1)
    found.reset_parameters(random)
    with torch.no_grad():
        for parameter in found.parameters():
            if parameter.ndim < 4:  # biases, norms and the head: as if they had learned
                parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.3)
    return found, found.input_shape


NAMES = ("resnet", "bottleneck", "vgg_bn", "vgg", "preactivation", "inception")


def mask_of(network: nn.Module, density: float = 0.3, seed: int = 2) -> Mask:
    """A random mask of every layer but the first convolution, which stays dense."""
    random = torch.Generator().manual_seed(seed)
    weights = prunable_weights(network)
    keep = {n: torch.rand(w.shape, generator=random) < density for n, w in weights.items()}
    first = next(iter(keep))
    keep[first] = torch.ones_like(keep[first])
    return keep


def prune(network: nn.Module, mask: Mask) -> nn.Module:
    with torch.no_grad():
        for name, weight in prunable_weights(network).items():
            weight.mul_(mask[name])
    return network


def batch(shape: Shape, images: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(images, *shape, generator=random)
    return x, torch.randint(4, (images,), generator=random)
