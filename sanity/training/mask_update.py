"""The door for methods whose mask moves while a ticket trains (dynamic sparse training).

The mask is part of a training's state: checkpoints hold it, and the ticket is stored with the one
it ends with. Between two steps a method may put another one in its place.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sanity.core.errors import TrainingError
from sanity.pruning.masks import Mask


@dataclass(frozen=True)
class Moment:
    """What is to be seen between two steps.

    ``step`` of ``steps`` of the whole training are done, at the learning rate ``lr``. ``mask`` is
    the mask as it is, ``weights`` are the layers' on the training's device, and ``gradients()``
    those of the last batch's loss, for pruned weights too. ``generator`` is a stream of this step
    alone, so that a training that goes on from a checkpoint draws the same.
    """

    step: int
    steps: int
    lr: float
    mask: Mask
    weights: Mapping[str, Tensor]
    gradients: Callable[[], Mapping[str, Tensor]]
    generator: torch.Generator


class MaskUpdate(ABC):
    """Moves the mask of a ticket while it trains; settings alone decide how."""

    @abstractmethod
    def is_due(self, step: int, steps: int) -> bool:
        """Whether the mask moves after ``step`` of ``steps`` steps (counted from 1)."""

    @abstractmethod
    def update(self, moment: Moment) -> Mask:
        """The mask from here on, with the layers and shapes of the old one.

        A weight that comes back is 0 and has no momentum. ``moment`` is only to be looked at.
        """


def refuse_misfit(old: Mask, new: Mask) -> None:
    """Raise TrainingError for what is no mask of the same layers."""
    expected = {name: (keep.shape, torch.bool) for name, keep in old.items()}
    found = {name: (keep.shape, keep.dtype) for name, keep in new.items()}
    for name in expected.keys() | found.keys():
        if expected.get(name) != found.get(name):
            raise TrainingError(
                f"the mask was moved to one that does not fit layer {name}: bool tensors of the "
                "same layers and shapes are allowed"
            )
