"""What a reader should know of runs before believing their numbers."""

from collections.abc import Sequence

from sanity.report import words
from sanity.report.runs import Run


def caveats(runs: Sequence[Run]) -> list[str]:
    """A line for each thing to know; none where there is none."""
    return [*_overlaps(runs), *_remarks(runs), *_sparsities(runs), *_versions(runs)]


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
    told = ((run.choices["dataset"], remark) for run in runs for remark in run.remarks)
    return [f"{name}: {remark}" for name, remark in dict.fromkeys(told)]


def _sparsities(runs: Sequence[Run]) -> list[str]:
    """Ratios that cannot give the sparsity that was asked for, by more than rounding."""
    found: dict[str, None] = {}
    for run in runs:
        if run.ticket is None or run.sparsity is None or run.found_sparsity is None:
            continue
        off = abs(run.found_sparsity - run.sparsity) * run.ticket["total"]
        if off > len(run.ticket["layers"]) + 1:
            ratio, got = run.choices["ratio"], run.found_sparsity
            found[f"ratio={ratio} gives a sparsity of {got:.4g} for {run.sparsity:g}"] = None
    return list(found)


def _versions(runs: Sequence[Run]) -> list[str]:
    """Packages of which the runs used several versions."""
    names = dict.fromkeys(name for run in runs for name in run.versions)
    several = []
    for name in names:
        found = sorted({run.versions.get(name, "none") for run in runs})
        if len(found) > 1:
            several.append(f"{name} {words.listed(found)}")
    return [f"the runs used several versions: {', '.join(several)}"] if several else []
