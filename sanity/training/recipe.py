"""The training recipe of a network: how long, how fast, in what precision."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from sanity.core.errors import ConfigError
from sanity.core.option import Option, identity

MOST_EPOCHS = 10**6
LARGEST_BATCH = 10**6
SCHEDULES = ("step", "cosine", "constant")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Recipe(Option):
    """SGD on cross-entropy, by default as the paper trains on CIFAR (its section 3, "Settings").

    ``milestones`` are the points at which ``schedule=step`` multiplies the learning rate by
    ``gamma``: below 1 a share of the epochs, otherwise an epoch (counted from 0).
    """

    epochs: int = 160
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: str = "step"
    milestones: list[float] = field(default_factory=lambda: [0.5, 0.75])
    gamma: float = 0.1
    precision: str = "fp32"

    def lr_at(self, epoch: int) -> float:
        """The learning rate of the 0-based ``epoch``."""
        if self.schedule == "cosine":
            return self.lr * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        if self.schedule == "constant":
            return self.lr
        passed = sum(epoch >= milestone for milestone in self.milestone_epochs())
        return self.lr * self.gamma**passed

    def milestone_epochs(self) -> list[int]:
        """The milestones as epochs; shares are rounded down."""
        return [int(m * self.epochs) if m < 1 else int(m) for m in self.milestones]

    def validate(self) -> None:
        """Raise ConfigError for a recipe that cannot be followed."""
        if not isinstance(self.milestones, list) or not all(map(_is_number, self.milestones)):
            raise ConfigError(f"training.milestones={self.milestones}: must be a list of numbers")
        rules = {
            "epochs": (1 <= self.epochs <= MOST_EPOCHS, f"at least 1, at most {MOST_EPOCHS:,}"),
            "batch_size": (
                2 <= self.batch_size <= LARGEST_BATCH,
                f"at least 2 (batch norm needs two images), at most {LARGEST_BATCH:,}",
            ),
            "lr": (0 < self.lr < math.inf, "above 0"),
            "momentum": (0 <= self.momentum < 1, "in [0, 1)"),
            "nesterov": (not self.nesterov or self.momentum > 0, "false where momentum is 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "milestones": (all(m >= 0 for m in self.milestones), "at least 0 each"),
            "gamma": (0 < self.gamma <= 1, "in (0, 1]"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
        }
        for name, (fine, allowed) in rules.items():
            if not fine:
                raise ConfigError(f"training.{name}={getattr(self, name)}: must be {allowed}")

    def identity(self) -> dict[str, Any]:
        """The settings as they enter the keys of results, a schedule by what it comes to."""
        return identity(Recipe, asdict(self) | {"milestones": self.milestone_epochs()})


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(float(str(value)))
