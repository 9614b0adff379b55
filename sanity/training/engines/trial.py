"""Which engine is the fastest: a few steps of each, once for all trainings of a kind."""

import copy
import hashlib
import importlib.util
import json
import logging
import math
import statistics
import time
from collections.abc import Sequence
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

WORTH = 1e10
"""Products of weights and pixels, dense, from which on a trial pays: seconds on one core."""

ROUNDS = 3, 20
"""Of a trial, at least and at most: where two are about as fast, short steps are measured again
until ``ENOUGH`` is spent."""

ENOUGH = 1.0
"""Seconds."""

FAR = 1.3
"""Times the time of the fastest from which on another one is out of the race."""

CLEARLY = 1.03
"""Times the first engine's speed from which on another is taken: less may be noise."""

AGREE = 1e-4
"""How far, relatively, two engines' first losses may be apart by rounding."""


def why_not(name: str, network: nn.Module, recipe: Recipe, input_shape: Shape, device: str) -> str:
    """Why the engine ``name``, which is not the dense one, cannot train ``network``; nothing
    where it can."""
    if device != "cpu":
        return f"it computes on CPUs, not on {device}"
    if name == "sparse" and recipe.precision != "fp32":
        return f"it computes in fp32, not in training.precision={recipe.precision}"
    if importlib.util.find_spec("numba") is None:
        return "it needs numba: pip install '.[sparse]'"
    from sanity.training.engines.program import UnsupportedError, program

    try:
        program(network, input_shape)
    except UnsupportedError as error:
        return f"it does not know all that the network does: {error}"
    return ""


def make(name: str, network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape) -> Engine:
    """The engine ``name``; it must be known that it can train ``network``."""
    if name == "dense":
        return Dense(network, recipe, mask)
    from sanity.training.engines.fused.engine import Fused
    from sanity.training.engines.program import program
    from sanity.training.engines.sparse.engine import Sparse

    kind = Sparse if name == "sparse" else Fused
    return kind(network, recipe, mask, program(network, input_shape))


def fastest(
    names: Sequence[str],
    network: nn.Module,
    recipe: Recipe,
    mask: Mask,
    input_shape: Shape,
    steps: int,
) -> str:
    """Which of these engines is, by a trial on copies; told in a line, and remembered by this
    machine. The first one of ``names`` where ``steps`` are too few for a trial to pay, and where no
    other is clearly faster."""
    if products(network, input_shape) * recipe.batch_size * steps < WORTH:
        return names[0]
    place, kind = _remembered(), _kind(names, network, recipe, mask, input_shape)
    known = _read(place)
    if kind not in known or known[kind].keys() != set(names):
        known[kind] = _times(names, network, recipe, mask, input_shape)
        with suppress(OSError):  # of a home that is full: the next one tries again
            write_json(place, _read(place) | known)
    seconds = known[kind]
    found = min(names, key=lambda name: seconds[name])
    if seconds[found] * CLEARLY > seconds[names[0]]:
        found = names[0]
    slower = [f"{name} {seconds[name] / seconds[found]:.1f}" for name in names if name != found]
    log.info("training.engine=auto: %s; by a trial, times its time: %s", found, ", ".join(slower))
    return found


def learns_the_same(
    name: str, network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> bool:
    """Whether three steps of it and of the dense engine, on copies, have the same losses but for
    rounding.

    The second loss tells the gradients of the first step, too, and the third one what the second
    has left behind.
    """
    both, x, y = _ready(("dense", name), network, recipe, mask, input_shape)
    for _ in range(3):
        dense, found = (float(engine.step(x, y)[0]) for engine in both)
        if not abs(dense - found) <= AGREE * abs(dense):
            return False
    return True


def _times(
    names: Sequence[str], network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> dict[str, float]:
    """Seconds of a step of each."""
    rivals, x, y = _ready(names, network, recipe, mask, input_shape)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for engine in rivals:  # the first step compiles, and warms up
        engine.step(x, y)
    least, most = ROUNDS
    begun = time.perf_counter()
    for number in range(most):
        if number >= least and (_decided(seconds) or time.perf_counter() - begun > ENOUGH):
            break
        for engine, taken in zip(rivals, seconds.values(), strict=True):
            start = time.perf_counter()
            engine.step(x, y)
            taken.append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def _decided(seconds: dict[str, list[float]]) -> bool:
    """Whether one is far ahead of all others."""
    first, *others = sorted(statistics.median(taken) for taken in seconds.values())
    return all(other > FAR * first for other in others)


def _ready(
    names: Sequence[str], network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> tuple[list[Engine], Tensor, Tensor]:
    """Engines with copies of the network, ready to step, and a batch of noise."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(recipe.batch_size, *input_shape, generator=random)
    with torch.no_grad():
        classes = copy.deepcopy(network).eval()(x[:2]).shape[1]
    y = torch.randint(classes, (recipe.batch_size,), generator=random)
    rivals = [make(name, copy.deepcopy(network), recipe, mask, input_shape) for name in names]
    for engine in rivals:
        engine.begin(recipe.lr_at(0) / 100)
    return rivals, x, y


def products(network: nn.Module, input_shape: Shape, mask: Mask | None = None) -> int:
    """Products of weights and pixels for an image: of all weights, or of those kept by ``mask``."""
    from sanity.training.engines.program import Convolution, program

    counts = {name: weight.numel() for name, weight in prunable_weights(network).items()}
    counts |= masks.kept(mask or {})
    return sum(
        counts[one.name] * one.y.height * one.y.width
        for one in program(network, input_shape).operations
        if isinstance(one, Convolution)
    )


def _kind(
    names: Sequence[str], network: nn.Module, recipe: Recipe, mask: Mask, input_shape: Shape
) -> str:
    """Names trainings that cost about the same: layers, and the products of kept weights, to a
    quarter. Tickets of a method that differ in their seeds are of one kind, or two."""
    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    kept = max(1, products(network, input_shape, mask))
    facts: list[Any] = [type(network).__name__, shapes, bool(mask)]
    facts += [round(math.log(kept, 1.25)), input_shape, recipe.batch_size]
    facts += [list(names), recipe.precision, torch.get_num_threads(), torch.__version__]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _remembered() -> Path:
    from sanity.training.engines.compiled import cache_directory, cpu

    return cache_directory() / f"trials-{cpu().name}.json"


def _read(place: Path) -> dict[str, dict[str, float]]:
    try:
        return {
            str(kind): {str(name): float(one) for name, one in seconds.items()}
            for kind, seconds in read_json(place).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
