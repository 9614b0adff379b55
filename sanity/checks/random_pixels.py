"""Random pixels: does a method use what is in the images?"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sanity.checks.base import DataCheck, Effect
from sanity.datasets.base import Examples

CHUNK = 1024  # images compared at a time, which bounds the memory of the comparison


def shuffle_pixels(images: Tensor, generator: torch.Generator) -> Tensor:
    """A copy of ``images`` [N, H, W, C] with every image's H * W * C values in an order of its own.

    Colours of a pixel are torn apart too, as in the reference.
    """
    shuffled = torch.empty(images.shape, dtype=images.dtype)
    values = images[0].numel() if len(images) else 0
    # A permutation an image is several times faster than sorting random keys of many at once.
    for source, target in zip(images.flatten(1), shuffled.flatten(1), strict=True):
        target.copy_(source[torch.randperm(values, generator=generator)])
    return shuffled


def count_differences(before: Tensor, after: Tensor) -> tuple[int, int]:
    """The images in which anything differs, and the values that differ in all of them."""
    images = values = 0
    for old, new in zip(before.split(CHUNK), after.split(CHUNK), strict=True):
        differ = (old != new).flatten(1).sum(dim=1)
        images += int(differ.count_nonzero())
        values += int(differ.sum())
    return images, values


@dataclass
class RandomPixels(DataCheck):
    """Pruning sees every training image with its values permuted, once for the whole run."""

    cites = ("su2020sanity",)
    change = "random pixels"
    uses = "the pixels"

    def corrupt(self, clean: Examples, generator: torch.Generator) -> tuple[Examples, Effect]:
        """Counts images and values that came out different."""
        images = shuffle_pixels(clean.images, generator)
        changed, values = count_differences(clean.images, images)
        counts = {
            "images_changed": changed,
            "images": len(images),
            "values_changed": values,
            "values": images.numel(),
        }
        return replace(clean, images=images), Effect(changed, counts)
