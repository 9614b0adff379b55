"""Engines train a network: all the same mathematics, each in its own way. Chosen here alone."""

from torch import nn

from sanity.pruning.masks import Mask
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.recipe import Recipe


def choose(network: nn.Module, recipe: Recipe, mask: Mask | None = None) -> Engine:
    """The engine that trains ``network``, dense or under a mask, fastest where it lies."""
    return Dense(network, recipe, mask or {})
