"""Learning rate rewinding: trained weights go on, only the schedule starts again."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.errors import ConfigError
from sanity.rewinds.base import Rewind, Source


@dataclass
class LearningRate(Rewind):
    """The pruned network's trained weights, and the schedule from ``epoch`` on.

    Renda et al. 2020, *Comparing Rewinding and Fine-tuning in Neural Network Pruning*.
    """

    source: ClassVar[Source] = "final"

    epoch: int = 0

    @property
    def start_epoch(self) -> int:
        """Where the schedule goes on; 0 repeats all of it."""
        return self.epoch

    def check(self, epochs: int) -> None:
        """The ticket's training needs an epoch at least."""
        if not 0 <= self.epoch < epochs:
            raise ConfigError(
                f"rewind.epoch={self.epoch}: must be from 0 to {epochs - 1}, before the end of "
                f"training.epochs={epochs}"
            )
