"""Files of other tools that settings name: seen to fit the network before anything is trained."""

import functools
from collections.abc import Callable
from pathlib import Path

from torch import nn

from sanity.core.errors import ConfigError, DataError, as_line
from sanity.core.files import sha256
from sanity.experiment import patterns
from sanity.networks.checkpoint import weights_for
from sanity.networks.foreign.names import Wanted
from sanity.networks.layers import prunable_weights
from sanity.pruners.from_checkpoint import FromCheckpoint
from sanity.ratios.base import sparsity_of

INITIAL, SPARSITY = "arch.init_from", "ratio.sparsity"


def initial(path: Path, network: nn.Module) -> tuple[str, ...]:
    """What to know of the initial weights in a file; raises DataError where they do not fit."""
    try:
        notes = _of_weights(path, sha256(path), Wanted.of(network))
    except DataError as error:
        text = str(error).removeprefix(f"{as_line(path)}: ")
        raise DataError(f"{INITIAL}={as_line(path)}: {text}") from None
    return tuple(f"{INITIAL}: {note}" for note in notes)


@functools.lru_cache(maxsize=64)
def _of_weights(path: Path, digest: str, wanted: Wanted) -> tuple[str, ...]:
    return weights_for(wanted, path)[1]


def as_sparse_as(
    pattern: str, seed: int, network: Callable[[], nn.Module]
) -> tuple[float, tuple[str, ...]]:
    """The sparsity of the ticket that ``ratio.sparsity`` names, and that it is the one."""
    try:
        path = patterns.existing(SPARSITY, pattern, seed)
    except ConfigError as error:
        if "{" in pattern or "}" in pattern:
            raise
        raise ConfigError(
            f"{SPARSITY}={pattern}: must be a number in [0, 1), or the file of a ticket whose "
            "sparsity it is"
        ) from error
    outline = network()
    try:
        given = FromCheckpoint(str(path)).given(outline)
    except DataError as error:
        text = str(error).removeprefix(f"pruner.path={path}: ")
        raise DataError(f"{SPARSITY}={pattern}: {text}") from None
    kept = sum(given.kept.values())
    total = sum(weight.numel() for weight in prunable_weights(outline).values())
    found = sparsity_of(kept, total)
    return found, (f"{SPARSITY}: {found:.6g}, since the file keeps {kept:,} of {total:,} weights",)
