"""Engines train a network: all the same mathematics, each in its own way. Chosen here alone."""

import logging
import sys
from pathlib import Path

import torch
from torch import nn

from sanity.core.errors import ConfigError
from sanity.networks.layers import is_known_code
from sanity.pruning.masks import Mask
from sanity.training.engines import trial
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.engines.trial import Shape
from sanity.training.recipe import Recipe

log = logging.getLogger(__name__)


def choose(
    network: nn.Module,
    recipe: Recipe,
    mask: Mask | None = None,
    input_shape: Shape | None = None,
    steps: int = 0,
) -> Engine:
    """What trains ``network`` for ``steps`` steps on images of ``input_shape``.

    ``training.engine=auto`` takes the one that a trial shows to be the fastest, where enough is to
    be trained for a trial to pay. What a network of one's own does is seen but once, when it is
    traced: other engines than the dense one train it only where that is asked for, and the first
    steps are the same. ``sparse`` is for tickets. Raises ConfigError where an engine is asked for
    and cannot be had.
    """
    mask, asked = mask or {}, recipe.engine
    device = next(network.parameters()).device.type
    _tell_of_bf16(recipe, device)
    if asked == "dense" or input_shape is None or (asked == "sparse" and not mask):
        return Dense(network, recipe, mask)
    if asked != "auto":
        refuse(asked, network, recipe, input_shape, device)
        if not is_known_code(network) and not trial.learns_the_same(
            asked, network, recipe, mask, input_shape
        ):
            raise ConfigError(
                f"training.engine={asked}: the network (arch) does more than its forward pass "
                "shows when it is traced; choose dense or auto"
            )
        return trial.make(asked, network, recipe, mask, input_shape)
    names = ["dense"]
    if is_known_code(network):
        others = ("fused", "sparse") if mask else ("fused",)
        names += [
            name for name in others if not trial.why_not(name, network, recipe, input_shape, device)
        ]
    if len(names) == 1:
        return Dense(network, recipe, mask)
    found = trial.fastest(names, network, recipe, mask, input_shape, steps)
    return trial.make(found, network, recipe, mask, input_shape)


def directories() -> list[Path]:
    """Where engines keep what they have compiled and tried; none where none has."""
    compiled = sys.modules.get("sanity.training.engines.compiled")
    return [] if compiled is None else [compiled.cache_directory()]


def _tell_of_bf16(recipe: Recipe, device: str) -> None:
    """Warn where bf16 is asked for, and the CPU has no instructions for it."""
    if recipe.precision != "bf16" or device != "cpu":
        return
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    if known and not any(there for name, there in known.items() if "bf16" in name):
        log.warning(
            "training.precision=bf16: this CPU has no instructions for it, so it is no faster"
        )


def refuse(name: str, network: nn.Module, recipe: Recipe, input_shape: Shape, device: str) -> None:
    """Raise ConfigError where the engine ``name`` cannot train ``network``."""
    if why := trial.why_not(name, network, recipe, input_shape, device):
        raise ConfigError(f"training.engine={name}: {why}; choose dense or auto")
