"""Corrupted data: random labels and random pixels at once, the reference's corrupted data set."""

from dataclasses import dataclass

import torch

from sanity.checks.base import DataCheck, Effect
from sanity.checks.random_labels import RandomLabels
from sanity.checks.random_pixels import RandomPixels
from sanity.datasets.base import Examples


@dataclass
class CorruptedData(DataCheck):
    """Pruning sees neither right labels nor anything in the images (Su et al. 2020, section 3)."""

    cites = ("su2020sanity",)
    change = "corrupted data"
    uses = "its training data"

    def corrupt(self, clean: Examples, generator: torch.Generator) -> tuple[Examples, Effect]:
        """Has happened only if both labels and images changed, so the smaller count decides."""
        relabelled, labels = RandomLabels().corrupt(clean, generator)
        corrupted, pixels = RandomPixels().corrupt(relabelled, generator)
        changed = min(labels.changed, pixels.changed)
        return corrupted, Effect(changed, {**labels.counts, **pixels.counts})
