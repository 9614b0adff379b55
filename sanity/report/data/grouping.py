"""Runs put where they belong: a context, a method in it, a sparsity, an arm, a seed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanity.report.data import labels
from sanity.report.data.cells import Arm, Cell, Context
from sanity.report.data.labels import digest
from sanity.report.data.runs import Run
from sanity.report.output import wording

# What does not tell experiments apart: which run of several, how far, where, who watches.
NEUTRAL = (
    *("seed", "until", "device", "threads", "checkpoint_every", "allow_dead", "data_dir"),
    *("store_dir", "tracker", "verdict", "experiment", "debug", "sweep", "hydra"),
)
ENGINE = "training.engine"
"""Neither does what has computed a training: the same mathematics, with other rounding."""

PARTS = {"dataset": "context", "arch": "context", "training": "context", "sanity_check": "arm"}


def group_runs(runs: Sequence[Run]) -> tuple[list[Cell], list[str]]:
    """All cells, in the order in which their runs were found, and what was peculiar."""
    sorted_in: dict[_Place, dict[int, Run]] = defaultdict(dict)
    notes: list[str] = []
    for run in runs:
        place = _place(run)
        other = sorted_in[place].get(run.seed)
        counted = run if other is None or _rank(run) >= _rank(other) else other
        sorted_in[place][run.seed] = counted
        if other is not None and _disagree(other, run):
            notes.append(
                f"two runs of the same settings and seed have different results "
                f"({other.directory}, {run.directory}): {counted.directory.name} counts"
            )
    return _cells(sorted_in), notes


@dataclass(frozen=True)
class _Place:
    """Where a run belongs; settings are digested as JSON so that they can be compared."""

    context: tuple[str, str, str]
    method: tuple[str, str, str, str]
    sparsity: float | None
    arm: tuple[str, str]


def _place(run: Run) -> _Place:
    parts: dict[str, dict[str, Any]] = {"context": {}, "method": {}, "arm": {}}
    for name, value in flatten(run.config).items():
        if name != "ratio.sparsity" or isinstance(value, str):  # a file, which tells methods apart
            parts[PARTS.get(name.split(".")[0], "method")][name] = value
    context, method, arm = map(digest, parts.values())
    names = run.choices
    return _Place(
        context=(names["dataset"], names["arch"], context),
        method=(names["pruner"], names["ratio"], names["rewind"], method),
        sparsity=run.sparsity,
        arm=(names["sanity_check"], arm),
    )


def _cells(found: Mapping[_Place, Mapping[int, Run]]) -> list[Cell]:
    """The cells, named by choices and by the settings in which equal choices differ."""
    one = {place: next(iter(runs.values())) for place, runs in found.items()}
    methods = labels.distinct(labels.methods({place.method: run for place, run in one.items()}))
    arms = labels.distinct({place.arm: wording.arm(place.arm[0]) for place in found})
    networks: dict[labels.Key, str] = {
        place.context: f"{wording.dataset(run.choices, run.config)} {run.choices['arch']}"
        for place, run in one.items()
    }
    dense: dict[Any, dict[int, float]] = defaultdict(dict)
    groups: dict[Any, list[Arm]] = defaultdict(list)
    for place, runs in found.items():
        for seed, run in runs.items():
            if run.dense_accuracy is not None:
                dense[place.context][seed] = run.dense_accuracy
        arm = Arm(place.arm[0], arms[place.arm], dict(sorted(runs.items())))
        groups[(place.context, place.method, place.sparsity)].append(arm)
    contexts = {
        key: Context(dataset=key[0], arch=key[1], label=label, dense=dense[key])
        for key, label in labels.distinct(networks).items()
    }
    cells = (
        _cell(contexts[context], methods[method], sparsity, group)
        for (context, method, sparsity), group in groups.items()
    )
    return [cell for cell in cells if cell is not None]


def _cell(context: Context, method: str, sparsity: float | None, arms: list[Arm]) -> Cell | None:
    """None of what has no tickets, and of dense networks, which are their context's."""
    runs = [run for arm in arms for run in arm.runs.values()]
    kinds = {(run.choices["pruner"], run.choices["sanity_check"]) for run in runs}
    results = any(run.ticket is not None or run.accuracy is not None for run in runs)
    if kinds == {("dense", wording.ORIGINAL)} or not results:
        return None
    found = _mean([run.found_sparsity for run in runs])
    meant = _mean([run.meant_sparsity for run in runs])
    return Cell(
        context=context,
        choices={name: runs[0].choices[name] for name in ("pruner", "ratio", "rewind")},
        method=method,
        detail=wording.method(runs[0].choices, runs[0].config),
        sparsity=meant if sparsity is None else sparsity,
        # As found first, checks in the order of the chain, one's own last.
        arms={arm.label: arm for arm in sorted(arms, key=lambda arm: wording.position(arm.check))},
        missed=found if any(run.missed for run in runs) else None,
    )


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return round(sum(known) / len(known), 4) if known else None


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, without those that do not tell experiments apart."""
    kept = {name: value for name, value in config.items() if name not in NEUTRAL}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in dotted(kept)
        if name != ENGINE
    }


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All settings, those of groups by their dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _rank(run: Run) -> tuple[bool, float]:
    """Of runs of the same, one that trained its ticket counts before one that did not."""
    try:
        written = (run.directory / "record.json").stat().st_mtime
    except OSError:
        written = 0.0
    return run.accuracy is not None, written


def _disagree(one: Run, other: Run) -> bool:
    """Whether a stage that both went through came to different results."""
    both = one.stages.keys() & other.stages.keys()
    keys = any(one.stages[name]["key"] != other.stages[name]["key"] for name in both)
    trained = one.accuracy is not None and other.accuracy is not None
    return keys or (trained and one.metrics != other.metrics)
