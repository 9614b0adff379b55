"""Random labels: does a method use the relation between images and labels?"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sanity.checks.base import DataCheck, Effect
from sanity.datasets.base import Examples


def redraw_labels(labels: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
    """New labels, each uniform over all classes; about 1 in ``num_classes`` stays right."""
    return torch.randint(num_classes, labels.shape, generator=generator, dtype=labels.dtype)


@dataclass
class RandomLabels(DataCheck):
    """Pruning sees every training label redrawn (Su et al. 2020, section 3; Zhang et al. 2017)."""

    change = "random labels"
    uses = "the labels"

    def corrupt(self, clean: Examples, generator: torch.Generator) -> tuple[Examples, Effect]:
        """Counts the labels that came out different."""
        labels = redraw_labels(clean.labels, clean.num_classes, generator)
        changed = int((labels != clean.labels).sum())
        effect = Effect(changed, {"labels_changed": changed, "labels": len(labels)})
        return replace(clean, labels=labels), effect
