"""The training recipe of a network: how long, how fast, in what precision."""

import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from sanity.core.config import conform
from sanity.core.errors import ConfigError
from sanity.core.option import Option, identity


@dataclass(frozen=True)
class Recipe(Option):
    """SGD on cross-entropy, by default as the paper trains on CIFAR (its section 3, "Settings").

    ``milestones`` are the points at which ``schedule=step`` multiplies the learning rate by
    ``gamma``: below 1 a share of the epochs, otherwise an epoch (counted from 0). ``engine``:
    what trains networks (sanity.training.engines).
    """

    epochs: Annotated[int, Ge(1), Le(10**6)] = 160
    batch_size: Annotated[int, Ge(2), Le(10**6), "batch norm needs two images"] = 64
    lr: Annotated[float, Gt(0)] = 0.1
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    schedule: Literal["step", "cosine", "constant"] = "step"
    milestones: list[Annotated[float, Ge(0)]] = field(default_factory=lambda: [0.5, 0.75])
    gamma: Annotated[float, Gt(0), Le(1)] = 0.1
    precision: Literal["fp32", "bf16"] = "fp32"
    engine: Literal["auto", "dense", "fused", "sparse"] = "auto"

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
        conform("training", Recipe, asdict(self))
        if self.nesterov and not self.momentum:
            raise ConfigError("training.nesterov=true: must be false where momentum is 0")

    def identity(self) -> dict[str, Any]:
        """The settings as they enter the keys of results, a schedule by what it comes to.

        All engines compute the same, but for rounding.
        """
        settings = asdict(self) | {"milestones": self.milestone_epochs()}
        del settings["engine"]
        return identity(Recipe, settings)
