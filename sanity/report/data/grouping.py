"""Runs put where they belong: a context, a method in it, a sparsity, an arm, a seed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
OF_THE_CONTEXT = ("dataset", "arch", "training")


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
            notes.append(_twice(other, run, counted))
    return _Sorted(sorted_in).cells(), notes


@dataclass(frozen=True)
class _Place:
    """Where a run belongs; settings are digested as JSON so that they can be compared."""

    context: tuple[str, str, str]
    method: tuple[str, str, str, str]
    sparsity: float | None
    arm: tuple[str, str]


def _place(run: Run) -> _Place:
    flat = flatten(run.config)
    context = {name: value for name, value in flat.items() if _group(name) in OF_THE_CONTEXT}
    arm = {name: value for name, value in flat.items() if _group(name) == "sanity_check"}
    method = {
        name: value
        for name, value in flat.items()
        if name not in context and name not in arm and name != "ratio.sparsity"
    }
    names = run.choices
    return _Place(
        context=(names["dataset"], names["arch"], digest(context)),
        method=(names["pruner"], names["ratio"], names["rewind"], digest(method)),
        sparsity=run.sparsity,
        arm=(names["sanity_check"], digest(arm)),
    )


@dataclass
class _Sorted:
    """Names for what was found: choices, and the settings in which equal choices differ."""

    found: Mapping[_Place, Mapping[int, Run]]
    context_labels: dict[Any, str] = field(init=False)
    method_labels: dict[Any, str] = field(init=False)
    arm_labels: dict[Any, str] = field(init=False)

    def __post_init__(self) -> None:
        runs = {place: next(iter(seeds.values())) for place, seeds in self.found.items()}
        self.context_labels = labels.distinct(
            {
                place.context: f"{wording.dataset(run.choices, run.config)} {place.context[1]}"
                for place, run in runs.items()
            }
        )
        self.method_labels = labels.distinct(
            labels.methods({place.method: run for place, run in runs.items()})
        )
        self.arm_labels = labels.distinct({place.arm: wording.arm(place.arm[0]) for place in runs})

    def cells(self) -> list[Cell]:
        """The cells; dense networks that no check acts on are no cells, but their contexts'."""
        dense = self._dense()
        contexts = {
            place.context: Context(
                dataset=place.context[0],
                arch=place.context[1],
                label=self.context_labels[place.context],
                dense=dense[place.context],
            )
            for place in self.found
        }
        arms: dict[tuple[Any, ...], dict[str, Arm]] = defaultdict(dict)
        for place, runs in self.found.items():
            arm = Arm(place.arm[0], self.arm_labels[place.arm], dict(sorted(runs.items())))
            arms[(place.context, place.method, place.sparsity)][arm.label] = arm
        cells = []
        for (context, method, sparsity), found in arms.items():
            run = next(iter(next(iter(found.values())).runs.values()))
            if _is_dense_alone(found) or not any(_has_result(arm) for arm in found.values()):
                continue
            cells.append(
                Cell(
                    context=contexts[context],
                    choices={name: run.choices[name] for name in ("pruner", "ratio", "rewind")},
                    method=self.method_labels[method],
                    detail=wording.method(run.choices, run.config),
                    sparsity=sparsity if sparsity is not None else _found_sparsity(found),
                    arms=_ordered(found),
                    missed=_found_sparsity(found) if _is_missed(found) else None,
                )
            )
        return cells

    def _dense(self) -> Mapping[Any, dict[int, float]]:
        found: dict[Any, dict[int, float]] = defaultdict(dict)
        for place, runs in self.found.items():
            for seed, run in runs.items():
                accuracy = run.dense_accuracy
                if accuracy is not None:
                    found[place.context][seed] = accuracy
        return found


def _found_sparsity(arms: Mapping[str, Arm]) -> float | None:
    """That of masks that came with their own, on average."""
    runs = [run for arm in arms.values() for run in arm.runs.values()]
    found = [run.found_sparsity for run in runs if run.found_sparsity is not None]
    return round(sum(found) / len(found), 4) if found else None


def _is_missed(arms: Mapping[str, Arm]) -> bool:
    return any(run.missed for arm in arms.values() for run in arm.runs.values())


def _is_dense_alone(arms: Mapping[str, Arm]) -> bool:
    runs = [run for arm in arms.values() for run in arm.runs.values()]
    found = {(run.choices["pruner"], run.choices["sanity_check"]) for run in runs}
    return found == {("dense", wording.ORIGINAL)}


def _has_result(arm: Arm) -> bool:
    """Whether there is a ticket to speak of, trained or not."""
    return any(run.ticket is not None for run in arm.runs.values()) or bool(arm.accuracies)


def _ordered(arms: Mapping[str, Arm]) -> dict[str, Arm]:
    """As found first, checks in the order of the chain, one's own last."""
    ranked = sorted(arms.values(), key=lambda arm: wording.position(arm.check))
    return {arm.label: arm for arm in ranked}


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, without those that do not tell experiments apart."""

    def walk(prefix: str, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, Mapping) and value:
                yield from walk(f"{prefix}{name}.", value)
            else:
                whole = isinstance(value, float) and value.is_integer()
                yield f"{prefix}{name}", int(value) if whole else value

    kept = {name: value for name, value in config.items() if name not in NEUTRAL}
    return dict(walk("", kept))


def _group(name: str) -> str:
    return name.split(".")[0]


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


def _twice(one: Run, other: Run, counted: Run) -> str:
    return (
        f"two runs of the same settings and seed have different results ({one.directory}, "
        f"{other.directory}): {counted.directory.name} counts"
    )
