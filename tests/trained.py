"""Training in one call, for tests that ask what comes of it."""

from collections.abc import Callable
from typing import Any

from torch import nn

from sanity.pruning.masks import Mask
from sanity.training import engines, loop
from sanity.training.checkpoint import Checkpoints
from sanity.training.engines.base import Engine
from sanity.training.loop import Splits, Training, Watcher
from sanity.training.mask_update import MaskUpdate
from sanity.training.progress import Epoch
from sanity.training.recipe import Recipe
from sanity.training.schedule import Schedule


def train(
    network: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    mask: Mask | None = None,
    label: str = "train",
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_weights: Callable[[int], None] = lambda epochs: None,
    update: MaskUpdate | None = None,
    on_engine: Callable[[Engine], None] = lambda engine: None,
    **schedule: Any,
) -> list[Epoch]:
    """Train ``network`` in place; ``schedule`` are the fields of one."""
    watcher = Watcher(label, on_epoch, on_weights)
    engine = engines.choose(network, recipe, mask)
    on_engine(engine)
    return loop.train(Training(engine, splits, Schedule(**schedule), checkpoints, watcher, update))
