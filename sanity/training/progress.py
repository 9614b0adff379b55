"""Where a training stands, and how it comes back to there from a checkpoint."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sanity.training.checkpoint import State
from sanity.training.engines.base import Engine


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch; accuracies in percent, losses in nats an image."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_second: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The figures as a line of ``metrics.jsonl``; validation only where there is any."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Progress:
    """The finished epochs, and the losses and hits of the running one so far.

    These stay on the device until the epoch has ended or a checkpoint is due: reading them back
    would wait for every step.
    """

    def __init__(self, epoch: int, steps: int, device: torch.device) -> None:
        self.history: list[Epoch] = []
        self.epoch, self.steps, self.device = epoch, steps, device
        self._start()

    def _start(self) -> None:
        self.step = 0
        self.losses = torch.zeros(self.steps, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.sizes: list[int] = []
        self._since = time.perf_counter()

    @property
    def done(self) -> int:
        """The steps made in all epochs."""
        return len(self.history) * self.steps + self.step

    @property
    def seconds(self) -> float:
        """How long the running epoch has taken, the time before an interruption included."""
        return time.perf_counter() - self._since

    def add(self, loss: Tensor, hits: Tensor, size: int) -> None:
        """One more step, on a batch of ``size`` images."""
        self.losses[self.step] = loss
        self.correct += hits
        self.sizes.append(size)
        self.step += 1

    def mean(self) -> tuple[float, float]:
        """Loss (nats) and accuracy (percent) an image of the finished epoch."""
        loss = float(self.losses.cpu().double() @ torch.tensor(self.sizes, dtype=torch.float64))
        return loss / sum(self.sizes), 100 * int(self.correct) / sum(self.sizes)

    def finish(self, figures: Epoch) -> None:
        """Turn to the next epoch."""
        self.history.append(figures)
        self.epoch += 1
        self._start()

    def state(self, engine: Engine) -> State:
        """All that decides how the training goes on, read back from the device."""
        return State(
            epoch=self.epoch,
            step=self.step,
            seconds=self.seconds,
            hits=int(self.correct),
            sizes=list(self.sizes),
            history=[asdict(epoch) for epoch in self.history],
            losses=self.losses[: self.step].cpu(),
            engine=engine.state(),
        )

    def restore(self, state: State, engine: Engine) -> None:
        """Stand where the training stood when ``state`` was taken."""
        engine.restore(state.engine)
        self.history = [Epoch(**figures) for figures in state.history]
        self.epoch = state.epoch
        self._start()
        self.step, self.sizes = state.step, list(state.sizes)
        self.losses[: self.step] = state.losses.to(self.device)
        self.correct += state.hits
        self._since -= state.seconds
