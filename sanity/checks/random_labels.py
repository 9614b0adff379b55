"""Random labels: does a method use the relation between images and labels?"""

from dataclasses import dataclass, replace

import torch

from sanity.checks.base import DataCheck, Effect
from sanity.datasets.base import Examples


@dataclass
class RandomLabels(DataCheck):
    """Pruning sees every training label redrawn (Su et al. 2020, section 3; Zhang et al. 2017)."""

    cites = ("su2020sanity", "zhang2017understanding")
    change = "random labels"
    uses = "the labels"

    def corrupt(self, clean: Examples, generator: torch.Generator) -> tuple[Examples, Effect]:
        """Counts the labels that came out different; about 1 in ``num_classes`` stays right."""
        old = clean.labels
        labels = torch.randint(clean.num_classes, old.shape, generator=generator, dtype=old.dtype)
        changed = int((labels != old).sum())
        effect = Effect(changed, {"labels_changed": changed, "labels": len(labels)})
        return replace(clean, labels=labels), effect
