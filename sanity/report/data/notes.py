"""What a reader should know of runs before believing their numbers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sanity.experiment import patterns
from sanity.report.data import grouping
from sanity.report.data.cells import Arm, Cell
from sanity.report.data.labels import digest
from sanity.report.data.runs import Run, versions
from sanity.report.output import wording


def warnings_of(runs: Sequence[Run], cells: Sequence[Cell]) -> list[str]:
    """A line for each thing to know; none where there is none."""
    return [
        *_overlaps(runs),
        *_remarks(runs),
        *_sparsities(runs),
        *_ties(cells),
        *_guessing(runs, cells),
        *_files(cells),
        *_mixed(cells),
        *_computers(cells),
        *_versions(runs),
    ]


def _overlaps(runs: Sequence[Run]) -> list[str]:
    """Test images that were training images as well, by data set."""
    found: dict[str, int] = {}
    for run in runs:
        name = run.choices["dataset"]
        found[name] = max(run.overlap, found.get(name, 0))
    return [
        f"{count:,} test images of {name} are training images as well"
        for name, count in found.items()
        if count
    ]


def _remarks(runs: Sequence[Run]) -> list[str]:
    """What else was noticed about the data, once for all runs that say it of a data set."""
    told = ((run.choices["dataset"], remark) for run in runs for remark in run.data_remarks)
    return [f"{name}: {remark}" for name, remark in dict.fromkeys(told)]


def _sparsities(runs: Sequence[Run]) -> list[str]:
    """Ratios that cannot give the sparsity that was asked for, by more than rounding."""
    found = (
        f"ratio={run.choices['ratio']} gives a sparsity of {run.found_sparsity:.4g} for "
        f"{run.sparsity:g}"
        for run in runs
        if run.missed
    )
    return list(dict.fromkeys(found))


def _ties(cells: Sequence[Cell]) -> list[str]:
    """Masks of which equal scores leave a part to the order of the weights."""
    found = []
    for cell, arm in _arms(cells):
        shares = [run.ties for run in arm.runs.values() if run.ties]
        if shares:
            found.append(f"{max(shares):.1%} of {_place(cell, arm)} ({_of(len(shares), arm)})")
    what = "equal scores leave to the order of the weights which of them are kept, up to"
    return [f"{what} {'; '.join(found)}"] if found else []


def _guessing(runs: Sequence[Run], cells: Sequence[Cell]) -> list[str]:
    """Networks that have learnt nothing: tickets by method and check, dense ones by network."""
    found: list[str] = []
    for cell, arm in _arms(cells):
        count = sum(run.guesses(run.accuracy) for run in arm.runs.values())
        if count:
            found.append(f"{_place(cell, arm)} ({_of(count, arm)})")
    dense: dict[str, dict[int, bool]] = defaultdict(dict)
    for run in runs:
        if run.dense_accuracy is not None:
            name = f"{wording.dataset(run.choices, run.config)} {run.choices['arch']}"
            dense[name][run.seed] = run.guesses(run.dense_accuracy)
    for name, seeds in dense.items():
        if any(seeds.values()):
            some = f"{sum(seeds.values())} of {wording.count(len(seeds), 'seed')}"
            found.append(f"the dense network of {name} ({some})")
    levels = {run.guessing.accuracy for run in runs if run.guessing}
    level = f" ({levels.pop():.4g}%)" if len(levels) == 1 else ""
    return [f"no better than guessing{level}: {'; '.join(found)}"] if found else []


def _files(cells: Sequence[Cell]) -> list[str]:
    """Paths that differ from seed to seed, which nobody takes for files of one method."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        settings = grouping.flatten(cell.any_run.config)
        for name in patterns.SETTINGS:
            if isinstance(settings.get(name), str):
                rest = {
                    key: value
                    for key, value in settings.items()
                    if key != name and not key.startswith("sanity_check.")
                }
                groups[(name, digest(rest))].append(cell)
    found = []
    for (name, _), group in groups.items():
        seeds = [seed for cell in group for seed in cell.seeds]
        if len(group) > 1 and len(seeds) == len(set(seeds)) == len(group):
            found.append(
                f"{name} is another one for every seed, so that each counts as a method of its "
                "own: files that come one a seed are given as one pattern, with {seed} in it"
            )
    return list(dict.fromkeys(found))


def _mixed(cells: Sequence[Cell]) -> list[str]:
    """Arms whose runs differ in more than the seed, though no setting says so."""
    found = []
    for cell, arm in _arms(cells):
        settings = grouping.flatten(cell.any_run.config)
        by_seed = {
            name.split(".")[0] for name in patterns.SETTINGS if "{seed}" in str(settings.get(name))
        }
        values: dict[str, set[str]] = defaultdict(set)
        for run in arm.runs.values():
            for part, value in run.identity.items():
                values[part].add(value)
        parts = [part for part, ones in values.items() if len(ones) > 1 and part not in by_seed]
        if parts:
            found.append(
                f"{_place(cell, arm)}: the code, files or images behind {wording.listed(parts)} "
                "changed between its runs"
            )
    return found


def _computers(cells: Sequence[Cell]) -> list[str]:
    """Comparisons of tickets that several engines or devices trained."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for cell in cells:
        runs = [run for arm in cell.arms.values() for run in arm.runs.values()]
        several = tuple(sorted({run.computed_by for run in runs} - {""}))
        if len(several) > 1:
            found[several].append(f"{cell.context.label}, {cell.label}")
    return [
        f"{wording.listed(places)}: some tickets were trained by {wording.listed(several)}, which "
        "compute the same with other rounding"
        for several, places in found.items()
    ]


def _arms(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Arm]]:
    return ((cell, arm) for cell in cells for arm in cell.arms.values())


def _place(cell: Cell, arm: Arm) -> str:
    return f"{cell.context.label}, {cell.label}, {arm.label}"


def _of(count: int, arm: Arm) -> str:
    return f"{count} of {wording.count(len(arm.runs), 'seed')}"


def _versions(runs: Sequence[Run]) -> list[str]:
    """Packages of which the runs used several versions."""
    found = versions(runs)
    several = [f"{name} {wording.listed(ones)}" for name, ones in found.items() if len(ones) > 1]
    return [f"the runs used several versions: {', '.join(several)}"] if several else []
