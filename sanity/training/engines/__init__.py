"""Engines train a network: all the same mathematics, each in its own way. Chosen here alone."""

from torch import nn

from sanity.core.errors import ConfigError
from sanity.pruning.masks import Mask
from sanity.training.engines import trial
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.recipe import Recipe

Shape = tuple[int, int, int]
"""Of an image: channels, height, width."""


def choose(
    network: nn.Module,
    recipe: Recipe,
    mask: Mask | None = None,
    input_shape: Shape | None = None,
    steps: int = 0,
) -> Engine:
    """What trains ``network`` for ``steps`` steps on images of ``input_shape``.

    ``training.engine=auto`` takes the sparse engine for tickets on a CPU where a trial shows that
    it is faster, and enough is to be trained for it to pay. Raises ConfigError where it is asked
    for and cannot be had.
    """
    if not mask or recipe.engine == "dense" or input_shape is None:
        return Dense(network, recipe, mask or {})
    device = next(network.parameters()).device.type
    if recipe.engine == "sparse":
        refuse_without_sparse(network, recipe, input_shape, device)
        return trial.sparse(network, recipe, mask, input_shape)
    why = trial.why_not(network, recipe, input_shape, device)
    if not why and trial.is_sparse_faster(network, recipe, mask, input_shape, steps):
        return trial.sparse(network, recipe, mask, input_shape)
    return Dense(network, recipe, mask)


def refuse_without_sparse(
    network: nn.Module, recipe: Recipe, input_shape: Shape, device: str
) -> None:
    """Raise ConfigError where ``training.engine=sparse`` cannot train tickets of ``network``."""
    if recipe.engine == "sparse" and (why := trial.why_not(network, recipe, input_shape, device)):
        raise ConfigError(f"training.engine=sparse: {why}; choose dense or auto")
