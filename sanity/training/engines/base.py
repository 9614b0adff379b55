"""What the loop needs of whatever trains a network; a page to read before writing another one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sanity.networks.layers import weights_of
from sanity.pruning.masks import Mask
from sanity.training.recipe import Recipe


@dataclass(frozen=True)
class EngineState:
    """What an engine goes on from, as PyTorch names and lays it out, on the CPU.

    ``network`` is the network's state dict, ``momentum`` the optimiser's buffers by parameter,
    ``mask`` the mask as it is now.
    """

    network: dict[str, Tensor]
    momentum: dict[str, Tensor]
    mask: Mask


class Engine(ABC):
    """Trains one network in place by a recipe, under a mask: how, is its own business.

    All engines compute the same mathematics, with other rounding: which one it was enters no key.
    ``network`` is always there to be looked at, with its current weights; those that ``mask``
    (bool tensors by layer, True = kept; empty for dense networks) prunes are exactly 0 in it after
    every step. ``mask`` is the mask as it is now, which :meth:`move` replaces.
    """

    name: ClassVar[str]
    """What records and entries call it."""

    def __init__(self, network: nn.Module, recipe: Recipe, mask: Mask) -> None:
        self.network, self.recipe, self.mask = network, recipe, mask

    @abstractmethod
    def begin(self, lr: float) -> None:
        """Get ready for an epoch at the learning rate ``lr``."""

    @abstractmethod
    def step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from a batch of images [B, C, H, W] and labels [B].

        Returns its mean loss and its number of hits, both still on the device: nothing is to wait
        for a step to end.
        """

    @abstractmethod
    def move(self, mask: Mask) -> None:
        """Go on under another mask of the same layers.

        Weights that come back start at 0, and their momentum with them.
        """

    @abstractmethod
    def gradients(self) -> dict[str, Tensor]:
        """The gradients of the last step's loss by layer, for pruned weights too."""

    @abstractmethod
    def state(self) -> EngineState:
        """All that decides how the training goes on."""

    @abstractmethod
    def restore(self, state: EngineState) -> None:
        """Go on from the state of an earlier step, of any engine on any device."""

    def drift(self) -> dict[str, int]:
        """How many pruned weights of each layer are not 0, for layers that have any: none should.

        Counted in the network's weights of now: it may have put others in their place.
        """
        weights = self.masked()
        stray = [
            ((weights[name] != 0) & ~keep.to(weights[name].device)).count_nonzero()
            for name, keep in self.mask.items()
        ]
        counts = torch.stack(stray).tolist() if stray else []
        return {name: n for name, n in zip(self.mask, counts, strict=True) if n}

    def masked(self) -> dict[str, Tensor]:
        """The weights of the network's layers that the mask is about."""
        return dict(weights_of(self.network, self.mask))
