"""Do methods keep the same weights? Their masks compared, seed by seed, and with chance."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from sanity.pruning.ticket import mask_in
from sanity.report.data.cells import Cell
from sanity.report.data.runs import Run

SEEDS = 3  # masks of a method that are compared, of large networks one
LARGE = 5_000_000  # weights
METHODS = 12  # the first ones; a pair each would be compared, and nobody reads more

Masks = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Overlap:
    """Of each pair of methods the share of weights that both keep, and what chance would give.

    Relative to the smaller mask. Chance: both masks drawn at random with their layers' counts.
    """

    cells: tuple[Cell, ...]
    share: NDArray[np.float64]
    chance: NDArray[np.float64]
    seeds: int


def overlaps(cells: Sequence[Cell]) -> Iterator[Overlap]:
    """One for each context and sparsity in which the store still has two methods' masks."""
    groups: dict[tuple[int, float | None], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.original.runs and cell.choices["pruner"] != "dense":
            groups[(id(cell.context), cell.sparsity)].append(cell)
    found = (_overlap(group[:METHODS]) for group in groups.values() if len(group) > 1)
    return (one for one in found if one is not None)


def compare(first: Masks, second: Masks) -> tuple[float, float]:
    """(share, chance) of two masks of one network; 0 where one of them keeps nothing."""
    smaller = min(sum(int(keep.sum()) for keep in mask.values()) for mask in (first, second))
    if smaller == 0:
        return 0.0, 0.0
    both = sum(int(np.count_nonzero(first[name] & second[name])) for name in first)
    chance = sum(
        int(first[name].sum()) * int(second[name].sum()) / first[name].size for name in first
    )
    return both / smaller, chance / smaller


def _overlap(cells: Sequence[Cell]) -> Overlap | None:
    known = [cell for cell in cells if any(_path(run).is_file() for run in _runs(cell).values())]
    common = sorted(set.intersection(*(set(_runs(cell)) for cell in known))) if known else []
    if len(known) < 2 or not common:
        return None
    total = (known[0].any_run.ticket or {}).get("total", 0)
    seeds = common[: 1 if total > LARGE else SEEDS]
    share, chance = (np.zeros((len(known), len(known), len(seeds))) for _ in range(2))
    for turn, seed in enumerate(seeds):
        masks = [mask for cell in known if (mask := _load(_runs(cell)[seed])) is not None]
        if len(masks) < len(known) or any(mask.keys() != masks[0].keys() for mask in masks):
            return None
        for (i, first), (j, second) in combinations_with_replacement(enumerate(masks), 2):
            share[i, j, turn], chance[i, j, turn] = compare(first, second)
            share[j, i, turn], chance[j, i, turn] = share[i, j, turn], chance[i, j, turn]
    return Overlap(tuple(known), share.mean(axis=2), chance.mean(axis=2), len(seeds))


def _runs(cell: Cell) -> dict[int, Run]:
    return {seed: run for seed, run in cell.original.runs.items() if "prune" in run.stages}


def _path(run: Run) -> Path:
    """The file that holds the mask: of a trained ticket, the one that it ended with."""
    store = Path(str(run.config.get("store_dir", "")))
    stage, name = ("train_ticket", "final") if "train_ticket" in run.stages else ("prune", "mask")
    return store / stage / str(run.stages[stage]["key"]) / f"{name}.safetensors"


def _load(run: Run) -> Masks | None:
    """The mask that the store has; None where it has it no more."""
    path = _path(run)
    try:
        tensors = load_file(path)
        mask = tensors if path.stem == "mask" else mask_in(tensors)
        return {name: keep.numpy() for name, keep in mask.items()}
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
