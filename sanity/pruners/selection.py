"""From scores to a mask: exactly the allocated number of the largest scores survives."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from sanity import masks
from sanity.errors import ConfigError, TrainingError
from sanity.layers import Blueprint
from sanity.masks import Mask
from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.ratios.base import Allocation


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
) -> Mask:
    """Score, select and repeat, ``pruner.iterations`` times, on the way to ``allocation``.

    ``network`` carries the unmasked weights to be scored and is left as it is: every step scores
    a copy in evaluation mode under the mask of the step before. ``start`` is the mask to go on
    from (None keeps everything) and ``progress`` the stretch of the way from dense (0) to
    ``allocation`` (1) that is covered here: ((r-1)/R, r/R) in round r of R of iterative pruning.
    ``perturb`` changes the scores of each step (a ScoreCheck); ``on_step(done, steps)`` is told
    of each step that is done. Raises ConfigError and TrainingError like :func:`select`.
    """
    steps = pruner.iterations
    if steps < 1:
        raise ConfigError(f"pruner.iterations={steps}: must be 1 or more")
    mask = masks.full(blueprint) if start is None else start
    for step in range(1, steps + 1):
        copy = deepcopy(network).eval()
        masks.apply(copy, mask)
        scores = pruner.score(Scoring(copy, blueprint, mask, batches, generator, input_shape))
        if perturb is not None:
            scores = perturb(scores)
        mask = select(scores, allocation.at(_between(progress, step, steps), blueprint), mask)
        if on_step is not None:
            on_step(step, steps)
    return mask


def select(scores: Scores, allocation: Allocation, alive: Mask) -> Mask:
    """Keep exactly the allocated number of the largest scores among the weights in ``alive``.

    Layers whose count is None compete with each other for ``allocation.pooled``. Among equal
    scores the earlier position, in module order, wins. Raises ConfigError for scores that are
    missing or of the wrong shape and for an allocation beyond what is alive, TrainingError for
    scores that are no numbers.
    """
    _validate(scores, alive)
    pool = [name for name, count in allocation.kept.items() if count is None]
    counted = {name: count for name, count in allocation.kept.items() if count is not None}
    chosen = _keep_largest(pool, allocation.pooled, scores, alive)
    for name, count in counted.items():
        chosen |= _keep_largest([name], count, scores, alive)
    return {name: chosen[name] for name in alive}


def largest(values: Tensor, count: int) -> Tensor:
    """Which ``count`` entries of a 1-d tensor are the largest; of equal ones the first win."""
    if count == 0:
        return torch.zeros(len(values), dtype=torch.bool)
    # Partial ordering takes linear time whatever the order; a full sort, or torch's kthvalue on
    # scores that happen to be descending, is too slow for 20 million weights a hundred times.
    cut = len(values) - count
    threshold = float(np.partition(values.numpy(), cut)[cut])
    keep = values > threshold
    ties = (values == threshold).nonzero().flatten()
    keep[ties[: count - int(keep.sum())]] = True
    return keep


def _keep_largest(names: Sequence[str], count: int, scores: Scores, alive: Mask) -> Mask:
    """The mask of the layers ``names``, which share ``count`` weights."""
    if not names:
        return {}
    candidates = [_on_cpu(scores[name])[alive[name]] for name in names]
    values = torch.cat(candidates)
    if count > len(values):
        where = f"layer {names[0]}" if len(names) == 1 else f"the {len(names)} pooled layers"
        raise ConfigError(
            f"ratio: asks {where} to keep {count} weights, but only {len(values)} are left"
        )
    keeps = largest(values, count).split([len(part) for part in candidates])
    return {
        name: torch.zeros_like(alive[name]).masked_scatter_(alive[name], keep)
        for name, keep in zip(names, keeps, strict=True)
    }


def _on_cpu(score: Tensor) -> Tensor:
    score = score.detach().cpu()
    # NumPy knows no bfloat16, and ties of half precision stay ties in single precision.
    return score if score.dtype in (torch.float32, torch.float64) else score.float()


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


def _between(progress: tuple[float, float], step: int, steps: int) -> float:
    if step == steps:
        return progress[1]  # exactly, so that the last step lands on the allocation itself
    return progress[0] + (progress[1] - progress[0]) * step / steps
