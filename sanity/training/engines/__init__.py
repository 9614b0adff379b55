"""Engines train a network: all the same mathematics, each in its own way. Chosen here alone."""

import sys
from pathlib import Path

from torch import nn

from sanity.core.errors import ConfigError
from sanity.pruning.masks import Mask
from sanity.training.engines import trial
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.engines.trial import Shape
from sanity.training.recipe import Recipe


def choose(
    network: nn.Module,
    recipe: Recipe,
    mask: Mask | None = None,
    input_shape: Shape | None = None,
    steps: int = 0,
) -> Engine:
    """What trains ``network`` for ``steps`` steps on images of ``input_shape``.

    ``training.engine=auto`` takes the sparse engine for tickets on a CPU where a trial shows that
    it is faster, and enough is to be trained for it to pay. What a network of one's own does is
    seen but once, when it is traced: it is trained sparse only where that is asked for, and the
    first steps are the dense engine's. Raises ConfigError where it is asked for and cannot be had.
    """
    if not mask or recipe.engine == "dense" or input_shape is None:
        return Dense(network, recipe, mask or {})
    device = next(network.parameters()).device.type
    if recipe.engine == "sparse":
        refuse_without_sparse(network, recipe, input_shape, device)
        if _is_own(network) and not trial.learns_the_same(network, recipe, mask, input_shape):
            raise ConfigError(
                "training.engine=sparse: the network (arch) does more than its forward pass shows "
                "when it is traced; choose dense or auto"
            )
        return trial.sparse(network, recipe, mask, input_shape)
    why = _is_own(network) or trial.why_not(network, recipe, input_shape, device)
    if not why and trial.is_sparse_faster(network, recipe, mask, input_shape, steps):
        return trial.sparse(network, recipe, mask, input_shape)
    return Dense(network, recipe, mask)


def directories() -> list[Path]:
    """Where engines keep what they have compiled and tried; none where none has."""
    compiled = sys.modules.get("sanity.training.engines.compiled")
    return [] if compiled is None else [compiled.cache_directory()]


def _is_own(network: nn.Module) -> bool:
    """Whether code other than PyTorch's and this package's decides what it computes."""
    packages = {type(module).__module__.split(".")[0] for module in network.modules()}
    return not packages <= {"torch", "sanity"}


def refuse_without_sparse(
    network: nn.Module, recipe: Recipe, input_shape: Shape, device: str
) -> None:
    """Raise ConfigError where the sparse engine cannot train tickets of ``network``."""
    if why := trial.why_not(network, recipe, input_shape, device):
        raise ConfigError(f"training.engine=sparse: {why}; choose dense or auto")
