"""A split of a data set as one uint8 tensor on the device, cropped, mirrored and normalised there.

Random numbers are drawn on the CPU, an epoch at a time, so that every device sees the same
augmentations in the same order.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from sanity.core.streams import generator
from sanity.datasets.base import Dataset, Examples

Batch = tuple[Tensor, Tensor]
"""Images float32 [B, C, H, W], normalised, and labels int64 [B]."""


class Images:
    """Examples on ``device``, ready to be dealt in batches."""

    def __init__(self, examples: Examples, dataset: Dataset, device: torch.device) -> None:
        assert dataset.mean is not None, "resolve the data set first"
        assert dataset.std is not None, "resolve the data set first"
        mean, std = torch.tensor(dataset.mean), torch.tensor(dataset.std)
        self.labels = examples.labels.to(device)
        self.pixels = examples.images.to(device)
        self.device = device
        self._flip, self._padding = dataset.flip, dataset.crop_padding
        self._scale = (1 / (dataset.pixel_max * std)).to(device).view(-1, 1, 1)
        self._shift = (-mean / std).to(device).view(-1, 1, 1)
        self._padded: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def steps(self, batch_size: int) -> int:
        """Batches an epoch: the last, partial one counts, unless it holds a single image.

        Batch norm cannot be trained on one image where a layer's output is 1x1.
        """
        full, rest = divmod(len(self), batch_size)
        return full + (rest > 1)

    def epoch(
        self, seed: int, epoch: int, batch_size: int, shuffle: int = 0, start_step: int = 0
    ) -> Iterator[Batch]:
        """The shuffled, augmented batches of one epoch, always the same for the same arguments.

        ``shuffle`` tells apart the trainings of a network that goes on from trained weights. With
        ``start_step`` the batches before it are left out; the others stay as they are.
        """
        number = (epoch,) if shuffle == 0 else (shuffle, epoch)
        order = torch.randperm(len(self), generator=generator(seed, "order", *number))
        draw = self._draw(len(self), generator(seed, "augmentation", *number))
        order = order.to(self.device)
        for step in range(start_step, self.steps(batch_size)):
            chosen = slice(step * batch_size, (step + 1) * batch_size)
            yield self._pick(order[chosen], [part[chosen] for part in draw])

    def augmented(self, indices: Tensor, random: torch.Generator) -> Batch:
        """The given examples, augmented by draws from ``random``."""
        draw = self._draw(len(indices), random)
        return self._pick(indices.to(self.device), draw)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All examples in order, normalised and nothing else."""
        for start in range(0, len(self), batch_size):
            chosen = slice(start, start + batch_size)
            yield self._normalise(self.pixels[chosen]), self.labels[chosen]

    def _draw(self, count: int, random: torch.Generator) -> list[Tensor]:
        """Crop offsets [count] (rows, columns) and mirror flags [count], where they are in use."""
        if not (self._padding or self._flip):
            return []
        shifts = torch.randint(0, 2 * self._padding + 1, (2, count), generator=random)
        mirror = torch.rand(count, generator=random) < (0.5 if self._flip else 0.0)
        return [part.to(self.device) for part in (*shifts, mirror)]

    def _pick(self, indices: Tensor, draw: list[Tensor]) -> Batch:
        if not draw:
            return self._normalise(self.pixels[indices]), self.labels[indices]
        if self._padded is None:
            side = (self._padding,) * 2
            self._padded = F.pad(self.pixels, (0, 0, *side, *side))
        rows, columns, mirror = draw
        height, width = self.pixels.shape[1:3]
        down = rows[:, None] + torch.arange(height, device=self.device)
        along = torch.arange(width, device=self.device).expand(len(indices), -1)
        along = columns[:, None] + torch.where(mirror[:, None], width - 1 - along, along)
        # One gather crops and mirrors the whole batch.
        pixels = self._padded[indices[:, None, None], down[:, :, None], along[:, None, :]]
        return self._normalise(pixels), self.labels[indices]

    def _normalise(self, pixels: Tensor) -> Tensor:
        # Contiguous NCHW: the channels_last batch norm of CPUs costs two digits of the gradient.
        images = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return images.mul_(self._scale).add_(self._shift)
