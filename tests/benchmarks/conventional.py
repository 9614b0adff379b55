"""The loop that pruning papers' code has: what a step costs where nobody has cared for speed.

Images come as PIL images through torchvision's transforms in a DataLoader of four workers; each
step rebuilds the mask from which weights are not 0, layer by layer, multiplies the gradients with
it, and reads loss and hits back.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

WORKERS = 4


class Pictures(Dataset[tuple[Tensor, int]]):
    """uint8 images [N, H, W, C], cropped, mirrored and normalised one by one."""

    def __init__(self, images: Tensor, labels: Tensor, padding: int) -> None:
        self.images, self.labels = images.numpy(), labels.tolist()
        height, channels = images.shape[1], images.shape[3]
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(height, padding=padding),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * channels, (0.25,) * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels: Any = self.images[index]
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.array(pixels))
        return self.transform(picture), self.labels[index]


def endless(pictures: Pictures, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of shuffled epochs; the workers stay, for to end them takes a loader 20 s."""
    loader = DataLoader(
        pictures,
        batch_size,
        shuffle=True,
        num_workers=WORKERS,
        drop_last=True,
        persistent_workers=True,
    )
    while True:
        yield from loader


class Conventional:
    """Trains ``network``, whose pruned weights are 0, on ``batches``."""

    def __init__(
        self, network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], device: torch.device
    ) -> None:
        self.network, self.batches, self.device = network.train(), batches, device
        self.optimizer = torch.optim.SGD(
            network.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4
        )

    def step(self) -> float:
        """One step; its loss."""
        x, y = next(self.batches)
        x, y = x.to(self.device), y.to(self.device)
        masks = [
            (module, (module.weight != 0).float())
            for module in self.network.modules()
            if isinstance(module, nn.Conv2d | nn.Linear)
        ]
        self.optimizer.zero_grad()
        logits = self.network(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        for module, keep in masks:
            assert module.weight.grad is not None
            module.weight.grad.mul_(keep)
        self.optimizer.step()
        _ = logits.argmax(1).eq(y).sum().item(), len(y) * loss.item()
        return loss.item()
