"""Weight rewinding: the ticket starts from the dense network's weights early in its training."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.core.errors import ConfigError
from sanity.rewinds.base import Rewind, Source


@dataclass
class Epoch(Rewind):
    """Weights after ``epoch`` epochs of dense training, and the schedule from there on.

    Frankle et al. 2020, *Linear Mode Connectivity and the Lottery Ticket Hypothesis*.
    """

    cites = ("frankle2020linear",)
    source: ClassVar[Source] = "epoch"
    start = "rewound epoch"

    epoch: int = 1

    def start_epoch(self, epochs: int) -> int:
        """The epoch after those that are not repeated."""
        return self.epoch

    def validate(self, epochs: int) -> None:
        """Both the dense and the ticket's training need an epoch at least."""
        if 1 <= self.epoch < epochs:
            return
        if epochs < 2:
            allowed = "needs training.epochs of 2 or more"
        else:
            allowed = f"must be from 1 to {epochs - 1}, before the end of training.epochs={epochs}"
        raise ConfigError(f"rewind.epoch={self.epoch}: {allowed}")
