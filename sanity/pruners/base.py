"""A pruner gives every prunable weight a score; the ratio decides how many of each layer stay."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sanity.core.errors import ConfigError
from sanity.core.option import Option
from sanity.networks.layers import Blueprint, weights_of
from sanity.pruning.masks import Mask
from sanity.ratios.base import kept_share
from sanity.training.mask_update import MaskUpdate

MOST_ITERATIONS = 10**5

Scores = dict[str, Tensor]
"""Layer name -> float tensor of the weight's shape; the largest scores are kept."""

Batches = Sequence[tuple[Tensor, Tensor]]
"""Pairs of images [B, C, H, W] float and labels [B] int64."""


@dataclass(frozen=True)
class Scoring:
    """All that a pruner may look at.

    ``network`` carries the weights to be scored (trained ones if the pruner asked for them) with
    ``mask`` already applied; it is a private copy in evaluation mode that may be changed freely.
    ``batches`` are class-balanced (images [B, C, H, W] float, labels [B]) pairs on the network's
    device, empty unless the pruner ``needs_data``. ``generator`` is the run's ``mask`` stream.
    ``input_shape`` is (C, H, W).
    """

    network: nn.Module
    blueprint: Blueprint
    mask: Mask
    batches: Batches
    generator: torch.Generator
    input_shape: tuple[int, int, int]

    @property
    def weights(self) -> dict[str, Tensor]:
        """The prunable weights of ``network`` by layer name."""
        return dict(weights_of(self.network, self.blueprint.names))


@dataclass(frozen=True)
class Given:
    """A mask that is there before anything is scored: how many weights each layer keeps.

    ``notes`` say what to know of where it comes from, a line each.
    """

    kept: Mapping[str, int]
    notes: tuple[str, ...] = ()


class Pruner(Option, ABC):
    """Base of all pruners: subclass it, implement :meth:`score`, state what it needs.

    Subclasses are usually dataclasses, whose fields are the options of the pruner's YAML file.
    """

    needs_trained_weights: ClassVar[bool] = False
    needs_data: ClassVar[bool] = False
    adds_up: ClassVar[bool] = False  # parts of each batch give the same scores, times a factor
    linear_dense: ClassVar[bool] = False  # the method never prunes the classifier (LT, IMP)
    scores_are_random: ClassVar[bool] = False  # so that inverting them means nothing
    prunes: ClassVar[bool] = True  # False for the dense baseline
    decides_sparsity: ClassVar[bool] = False  # True where the mask comes with its own sparsity
    needs_layer_counts: ClassVar[bool] = False  # makes no sense with ratio=global (hybrid)

    samples_per_class: int = 0  # of the scoring data, for pruners that need data
    iterations: int = 1  # scores are recomputed this often on the way to the final sparsity

    @abstractmethod
    def score(self, scoring: Scoring) -> Scores:
        """A finite score for every prunable weight, on any device; the largest are kept."""

    def validate(self) -> None:
        """Raise ConfigError for settings that are impossible; asked before any training."""
        if not 1 <= self.iterations <= MOST_ITERATIONS:
            raise ConfigError(
                f"pruner.iterations={self.iterations}: must be 1 or more, up to {MOST_ITERATIONS:,}"
            )

    def rounds(self, sparsity: float | None) -> int:
        """How often the network is pruned and trained again (1, but for IMP)."""
        return 1

    def scoring_batches(self, blueprint: Blueprint, num_classes: int) -> int:
        """Into how many class-balanced batches the scoring data is dealt."""
        return 1

    def given(self, network: nn.Module) -> Given | None:
        """What a method that decides its sparsity keeps of ``network``, which has no memory.

        Asked before any training. None leaves it to :meth:`kept`.
        """
        return None

    def kept(self, total: int, sparsity: float | None) -> int:
        """How many of ``total`` weights survive, by default floor(N (1 - p))."""
        assert sparsity is not None, "only pruners that decide it do without"
        return kept_share(total, sparsity)

    def mask_update(self) -> MaskUpdate | None:
        """What moves the mask while the ticket trains; None where it stays as it was found."""
        return None

    def identity(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What of its ``settings`` decides the scores; a file is named by its digest here."""
        return settings
