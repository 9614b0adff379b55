"""Learning rate rewinding: trained weights go on, only the schedule starts again."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.core.errors import ConfigError
from sanity.rewinds.base import Rewind, Source


@dataclass
class LearningRate(Rewind):
    """The pruned network's trained weights, and the schedule from ``epoch`` on.

    Like the recipe's milestones, ``epoch`` may be a share of the schedule: 0.75 trains its last
    quarter, which is fine-tuning where the learning rate has come down by then.
    Renda et al. 2020, *Comparing Rewinding and Fine-tuning in Neural Network Pruning*.
    """

    cites = ("renda2020comparing",)
    source: ClassVar[Source] = "final"
    start = "LR rewound"

    epoch: int | float = 0

    def start_epoch(self, epochs: int) -> int:
        """Where the schedule goes on; 0 repeats all of it. Shares are rounded down."""
        # 0.29 of 100 is 28.999... in binary.
        return int(self.epoch * epochs + 1e-9) if 0 < self.epoch < 1 else int(self.epoch)

    def validate(self, epochs: int) -> None:
        """The ticket's training needs an epoch at least."""
        if 0 < self.epoch < 1:
            return
        if not 0 <= self.epoch < epochs or self.epoch != int(self.epoch):
            raise ConfigError(
                f"rewind.epoch={self.epoch}: must be from 0 to {epochs - 1}, before the end of "
                f"training.epochs={epochs}, or a share of them below 1"
            )
