"""Which engine is faster for a ticket: a few steps of each, once for all tickets of a kind."""

import copy
import hashlib
import importlib.util
import json
import logging
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sanity.core.files import read_json, write_json
from sanity.networks.layers import prunable_weights
from sanity.pruning import masks
from sanity.pruning.masks import Mask
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.recipe import Recipe

log = logging.getLogger(__name__)

Shape = tuple[int, int, int]

WORTH = 5e10
"""Products of weights and pixels, dense, from which on a trial pays: seconds on one core."""

TRIALS = 3
AGREE = 1e-4
"""How far, relatively, two engines' first losses may be apart by rounding."""


NEVER = 1e9
"""Seconds, of an engine that must not be taken."""


def why_not(network: nn.Module, recipe: Recipe, input_shape: Shape, device: str) -> str:
    """Why the sparse engine cannot train tickets of ``network``; nothing where it can."""
    if device != "cpu":
        return f"it computes on CPUs, not on {device}"
    if recipe.precision != "fp32":
        return f"it computes in fp32, not in training.precision={recipe.precision}"
    if importlib.util.find_spec("numba") is None:
        return "it needs numba: pip install '.[sparse]'"
    from sanity.training.engines.sparse.program import UnsupportedError, program

    try:
        program(network, input_shape)
    except UnsupportedError as error:
        return f"it does not know all that the network does: {error}"
    return ""


def sparse(network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape) -> Engine:
    """The sparse engine; it must be known that there is one."""
    from sanity.training.engines.sparse.engine import Sparse
    from sanity.training.engines.sparse.program import program

    return Sparse(network, recipe, mask, program(network, input_shape))


def is_sparse_faster(
    network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape, steps: int
) -> bool:
    """Whether it is, by a trial on copies; told in a line, and remembered by this machine."""
    if _products(network, input_shape) * recipe.batch_size * steps < WORTH:
        return False
    place, kind = _remembered(), _kind(network, recipe, mask, input_shape)
    known = _read(place)
    if kind not in known:
        known[kind] = _times(network, recipe, mask, input_shape)
        write_json(place, _read(place) | known)
    dense, found = known[kind]
    faster = "sparse" if found < dense else "dense"
    ratio = max(dense, found) / min(dense, found)
    log.info("training.engine=auto: %s, %.1f times as fast by a trial", faster, ratio)
    return bool(found < dense)


def _times(
    network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> tuple[float, float]:
    """Seconds of a step, dense and sparse: NEVER where that one learns something else."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(recipe.batch_size, *input_shape, generator=random)
    with torch.no_grad():
        classes = copy.deepcopy(network).eval()(x[:2]).shape[1]
    y = torch.randint(classes, (recipe.batch_size,), generator=random)
    both = (
        Dense(copy.deepcopy(network), recipe, mask),
        sparse(copy.deepcopy(network), recipe, mask, input_shape),
    )
    seconds: tuple[list[float], list[float]] = ([], [])
    losses: list[float] = []
    for number in range(1 + TRIALS):
        for engine, taken in zip(both, seconds, strict=True):
            engine.begin(recipe.lr_at(0) / 100)
            start = time.perf_counter()
            loss, _ = engine.step(x, y)
            if number:  # the first compiles, and warms up
                taken.append(time.perf_counter() - start)
            losses.append(float(loss))
    # The second loss tells the gradients of the first step, too.
    apart = max(abs(losses[0] - losses[1]), abs(losses[2] - losses[3]))
    if not apart <= AGREE * abs(losses[0]):
        log.warning("training.engine=auto: dense, since the network does more than is seen of it")
        return statistics.median(seconds[0]), NEVER
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _products(network: nn.Module, input_shape: Shape) -> int:
    """Products of weights and pixels for an image, dense."""
    from sanity.training.engines.sparse.program import Convolution, program

    weights = prunable_weights(network)
    return sum(
        weights[one.name].numel() * one.y.height * one.y.width
        for one in program(network, input_shape).operations
        if isinstance(one, Convolution)
    )


def _kind(network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape) -> str:
    """Names tickets that cost about the same: layers, and how dense they are to two digits."""
    layers = [
        (tuple(keep.shape), f"{count / keep.numel():.1e}")
        for keep, count in zip(mask.values(), masks.kept(mask).values(), strict=True)
    ]
    facts: list[Any] = [type(network).__name__, layers, input_shape, recipe.batch_size]
    facts += [torch.get_num_threads(), torch.__version__]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _remembered() -> Path:
    from sanity.training.engines.sparse.compiled import cache_directory, cpu

    return cache_directory() / f"trials-{cpu().name}.json"


def _read(place: Path) -> dict[str, tuple[float, float]]:
    try:
        return {str(key): (float(a), float(b)) for key, (a, b) in read_json(place).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
