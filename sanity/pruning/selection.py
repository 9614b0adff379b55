"""From scores to a mask: exactly the allocated number of the largest scores survives."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sanity.core.errors import ConfigError, TrainingError
from sanity.networks.layers import Blueprint
from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.pruning import masks
from sanity.pruning.masks import Mask
from sanity.ratios.base import Allocation


@dataclass(frozen=True)
class Ties:
    """How far scores leave open which weights stay, in all layers and steps together.

    A choice keeps some of a layer's or pool's weights. ``tied`` weights have just the score at
    which it falls between them; of several steps it is the largest number. ``arbitrary`` is how
    many kept weights could as well be others: the kept or the pruned ones among the tied,
    whichever are fewer. ``told_apart`` counts the choices in which any two scores differ. In the
    layers ``flat`` all weights had the same score at the first step.
    """

    choices: int = 0
    told_apart: int = 0
    tied: int = 0
    arbitrary: int = 0
    flat: tuple[str, ...] = ()

    def __add__(self, other: "Ties") -> "Ties":
        return Ties(
            self.choices + other.choices,
            self.told_apart + other.told_apart,
            self.tied + other.tied,
            self.arbitrary + other.arbitrary,
            self.flat + other.flat,
        )

    def facts(self, kept: int) -> dict[str, Any]:
        """As they are stored, of a mask that keeps so many weights in all."""
        found = {"tied": self.tied, "arbitrary": min(self.arbitrary, kept)}
        return found | ({"flat": list(self.flat)} if self.flat else {})

    def then(self, step: "Ties") -> "Ties":
        """The same after another step."""
        return replace(self + step, tied=max(self.tied, step.tied))


def find_mask(
    pruner: Pruner,
    network: nn.Module,
    blueprint: Blueprint,
    allocation: Allocation,
    *,
    input_shape: tuple[int, int, int],
    generator: torch.Generator,
    batches: Sequence[tuple[Tensor, Tensor]] = (),
    start: Mask | None = None,
    progress: tuple[float, float] = (0.0, 1.0),
    perturb: Callable[[Scores], Scores] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> tuple[Mask, Ties]:
    """Score, select and repeat, ``pruner.iterations`` times, on the way to ``allocation``.

    ``network`` carries the unmasked weights to be scored and is left as it is: every step scores
    a copy in evaluation mode under the mask of the step before. ``start`` is the mask to go on
    from (None keeps everything) and ``progress`` the stretch of the way from dense (0) to
    ``allocation`` (1) that is covered here: ((r-1)/R, r/R) in round r of R of iterative pruning.
    ``perturb`` changes the scores of each step (a ScoreCheck); ``on_step(done, steps)`` is told
    of each step that is done. Gives the mask and all ties. Raises ConfigError and
    TrainingError like :func:`select`, and TrainingError where no step's scores tell any weights
    apart, so that nothing but their order would decide.
    """
    steps = pruner.iterations
    if steps < 1:
        raise ConfigError(f"pruner.iterations={steps}: must be 1 or more")
    mask = masks.full(blueprint) if start is None else start
    ties = Ties()
    begin, end = progress
    for step in range(1, steps + 1):
        copy = deepcopy(network).eval()
        masks.apply(copy, mask)
        scores = pruner.score(Scoring(copy, blueprint, mask, batches, generator, input_shape))
        if perturb is not None:
            scores = perturb(scores)
        # Exactly the end, so that the last step lands on the allocation itself.
        way = end if step == steps else begin + (end - begin) * step / steps
        wanted = allocation.at(way, blueprint)
        if step == 1 and not pruner.decides_sparsity:
            ties = replace(ties, flat=_flat(scores, wanted, mask))
        mask, found = select(scores, wanted, mask)
        ties = ties.then(found)
        if on_step is not None:
            on_step(step, steps)
    if ties.choices and not ties.told_apart:
        raise TrainingError(_nothing_told(scores))
    return mask, ties


def select(scores: Scores, allocation: Allocation, alive: Mask) -> tuple[Mask, Ties]:
    """Keep exactly the allocated number of the largest scores among the weights in ``alive``.

    The mask, and the ties among them. Layers whose count is None compete with each other for
    ``allocation.pooled``. Among equal scores the earlier position, in module order, wins. Raises
    ConfigError for scores that are missing or of the wrong shape and for an allocation beyond what
    is alive, TrainingError for scores that are no numbers.
    """
    _validate(scores, alive)
    pool = [name for name, count in allocation.kept.items() if count is None]
    counted = {name: count for name, count in allocation.kept.items() if count is not None}
    chosen, ties = _keep_largest(pool, allocation.pooled, scores, alive)
    for name, count in counted.items():
        kept, found = _keep_largest([name], count, scores, alive)
        chosen, ties = chosen | kept, ties + found
    return {name: chosen[name] for name in alive}, ties


def largest(values: Tensor, count: int) -> tuple[Tensor, Ties]:
    """Which ``count`` of a 1-d tensor are the largest, of equal ones the first; the ties."""
    if count == 0:
        return torch.zeros(len(values), dtype=torch.bool), Ties()
    # Partial ordering takes linear time whatever the order; a full sort, or torch's kthvalue on
    # scores that happen to be descending, is too slow for 20 million weights a hundred times.
    cut = len(values) - count
    threshold = float(np.partition(values.numpy(), cut)[cut])
    keep = values > threshold
    tied = (values == threshold).nonzero().flatten()
    chosen = count - int(keep.sum())
    keep[tied[:chosen]] = True
    if cut == 0:
        return keep, Ties()  # nothing was to be chosen
    arbitrary, told_apart = min(chosen, len(tied) - chosen), len(tied) < len(values)
    return keep, Ties(1, int(told_apart), len(tied) if arbitrary else 0, arbitrary)


def _keep_largest(
    names: Sequence[str], count: int, scores: Scores, alive: Mask
) -> tuple[Mask, Ties]:
    """The mask of the layers ``names``, which share ``count`` weights."""
    if not names:
        return {}, Ties()
    candidates = [_on_cpu(scores[name])[alive[name]] for name in names]
    values = torch.cat(candidates)
    if count > len(values):
        where = f"layer {names[0]}" if len(names) == 1 else f"the {len(names)} pooled layers"
        raise ConfigError(
            f"ratio: asks {where} to keep {count} weights, but only {len(values)} are left"
        )
    keep, ties = largest(values, count)
    keeps = keep.split([len(part) for part in candidates])
    found = {
        name: torch.zeros_like(alive[name]).masked_scatter_(alive[name], keep)
        for name, keep in zip(names, keeps, strict=True)
    }
    return found, ties


def _on_cpu(score: Tensor) -> Tensor:
    score = score.detach().cpu()
    # NumPy knows no bfloat16, and ties of half precision stay ties in single precision.
    return score if score.dtype in (torch.float32, torch.float64) else score.float()


def _flat(scores: Scores, allocation: Allocation, alive: Mask) -> tuple[str, ...]:
    """The layers in which no two of several scores differ, where some are to be chosen."""
    sizes = masks.kept(alive)
    pool = sum(sizes[name] for name, count in allocation.kept.items() if count is None)
    found = []
    for name, keep in alive.items():
        count, size = allocation.kept[name], sizes[name]
        if count is None:
            count, size = allocation.pooled, pool
        known = name in scores and scores[name].shape == keep.shape  # select sees to the others
        if known and 0 < count < size:
            values = _on_cpu(scores[name])[keep]
            if len(values) > 1 and bool((values == values[0]).all()):
                found.append(name)
    return tuple(found)


def _nothing_told(scores: Scores) -> str:
    values = {float(score.flatten()[0]) for score in scores.values()}
    one = f"all scores are {min(values):g}"
    what = one if len(values) == 1 else "all scores are equal within every layer"
    return (
        f"pruner: {what}, so that only the order of the weights would decide which of them stay; "
        "a ticket needs scores that differ"
    )


def _validate(scores: Scores, alive: Mask) -> None:
    unknown = [name for name in scores if name not in alive]
    if unknown:
        raise ConfigError(f"pruner: scores {unknown[0]}, which is no prunable layer of the network")
    for name, keep in alive.items():
        if name not in scores:
            raise ConfigError(f"pruner: gives layer {name} no scores; every layer needs them")
        score = scores[name]
        if score.shape != keep.shape:
            raise ConfigError(
                f"pruner: scores layer {name} in the shape {tuple(score.shape)}; "
                f"its weight's shape is {tuple(keep.shape)}"
            )
        strange = score.numel() - int(score.isfinite().sum())
        if strange:
            raise TrainingError(
                f"pruner: {strange} of {score.numel()} scores of layer {name} are NaN or infinite; "
                "the weights it scores or their loss may have diverged"
            )
