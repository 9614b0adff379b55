"""Which engine is faster for a ticket: a few steps of each, once for all tickets of a kind."""

import copy
import hashlib
import importlib.util
import json
import logging
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sanity.core.files import read_json, write_json
from sanity.networks.layers import prunable_weights
from sanity.pruning import masks
from sanity.pruning.masks import Mask
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.recipe import Recipe

log = logging.getLogger(__name__)

Shape = tuple[int, int, int]
"""Of an image: channels, height, width."""

WORTH = 5e10
"""Products of weights and pixels, dense, from which on a trial pays: seconds on one core."""

TRIALS = 3
AGREE = 1e-4
"""How far, relatively, two engines' first losses may be apart by rounding."""


def why_not(network: nn.Module, recipe: Recipe, input_shape: Shape, device: str) -> str:
    """Why the sparse engine cannot train tickets of ``network``; nothing where it can."""
    if device != "cpu":
        return f"it computes on CPUs, not on {device}"
    if recipe.precision != "fp32":
        return f"it computes in fp32, not in training.precision={recipe.precision}"
    if importlib.util.find_spec("numba") is None:
        return "it needs numba: pip install '.[sparse]'"
    from sanity.training.engines.program import UnsupportedError, program

    try:
        program(network, input_shape)
    except UnsupportedError as error:
        return f"it does not know all that the network does: {error}"
    return ""


def sparse(network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape) -> Engine:
    """The sparse engine; it must be known that there is one."""
    from sanity.training.engines.program import program
    from sanity.training.engines.sparse.engine import Sparse

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
        with suppress(OSError):  # of a home that is full: the next one tries again
            write_json(place, _read(place) | known)
    dense, found = known[kind]
    faster = "sparse" if found < dense else "dense"
    ratio = max(dense, found) / min(dense, found)
    log.info("training.engine=auto: %s, %.1f times as fast by a trial", faster, ratio)
    return bool(found < dense)


def learns_the_same(network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape) -> bool:
    """Whether two steps of both engines, on copies, have the same losses but for rounding.

    The second loss tells the gradients of the first step, too.
    """
    both, x, y = _both(network, recipe, mask, input_shape)
    for _ in range(2):
        dense, found = (float(engine.step(x, y)[0]) for engine in both)
        if not abs(dense - found) <= AGREE * abs(dense):
            return False
    return True


def _times(
    network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> tuple[float, float]:
    """Seconds of a step, dense and sparse."""
    both, x, y = _both(network, recipe, mask, input_shape)
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(1 + TRIALS):
        for engine, taken in zip(both, seconds, strict=True):
            start = time.perf_counter()
            engine.step(x, y)
            if number:  # the first compiles, and warms up
                taken.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def _both(
    network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> tuple[tuple[Engine, Engine], Tensor, Tensor]:
    """Both engines with copies of the network, ready to step, and a batch of noise."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(recipe.batch_size, *input_shape, generator=random)
    with torch.no_grad():
        classes = copy.deepcopy(network).eval()(x[:2]).shape[1]
    y = torch.randint(classes, (recipe.batch_size,), generator=random)
    dense = Dense(copy.deepcopy(network), recipe, mask)
    both = dense, sparse(copy.deepcopy(network), recipe, mask, input_shape)
    for engine in both:
        engine.begin(recipe.lr_at(0) / 100)
    return both, x, y


def _products(network: nn.Module, input_shape: Shape) -> int:
    """Products of weights and pixels for an image, dense."""
    from sanity.training.engines.program import Convolution, program

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
    from sanity.training.engines.compiled import cache_directory, cpu

    return cache_directory() / f"trials-{cpu().name}.json"


def _read(place: Path) -> dict[str, tuple[float, float]]:
    try:
        return {str(key): (float(a), float(b)) for key, (a, b) in read_json(place).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
