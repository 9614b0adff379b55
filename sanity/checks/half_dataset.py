"""Half data set: how much data does a method need?"""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Lt

from sanity.checks.base import DataCheck, Effect
from sanity.core.errors import ConfigError, listed
from sanity.datasets.base import Examples
from sanity.ratios.base import floor_share


@dataclass
class HalfDataset(DataCheck):
    """Pruning sees only the first floor(fraction * N) training examples, as they are packed.

    The reference's 24,960 of CIFAR's 50,000 are ``fraction`` 0.4992.
    """

    cites = ("su2020sanity",)
    change = "half the data"
    uses = "all of its data"

    fraction: Annotated[float, Gt(0), Lt(1)] = 0.5

    def validate(self) -> None:
        """A fraction of 0 or 1 would leave nothing, or change nothing."""
        if not 0 < self.fraction < 1:
            raise ConfigError(f"sanity_check.fraction={self.fraction}: must be between 0 and 1")

    def corrupt(self, clean: Examples, generator: torch.Generator) -> tuple[Examples, Effect]:
        """Counts the examples that are gone. Raises ConfigError where a whole class goes."""
        self.validate()
        count = floor_share(len(clean), self.fraction)
        left = clean.pick(slice(count))
        lost = sorted(set(clean.labels.tolist()) - set(left.labels.tolist()))
        if lost:
            names = listed([clean.class_name(label) for label in lost])
            raise ConfigError(
                f"sanity_check.fraction={self.fraction}: leaves {count} of {len(clean)} training "
                f"examples, none of {len(lost)} classes ({names}); choose more"
            )
        removed = len(clean) - count
        return left, Effect(removed, {"examples_removed": removed, "examples": len(clean)})
