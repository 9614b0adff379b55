"""The looks that were taken at a question whose seeds were added until it was decided."""

from collections.abc import Sequence
from pathlib import Path

from sanity.report.data.cells import Arm
from sanity.stats.looks import up_to
from sanity.stats.paired import Taken
from sanity.sweep import growth
from sanity.sweep.sweep import Sweep


class Looks:
    """Those of some sweeps, by where the runs of an arm lie."""

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._sweeps: dict[Path, Sweep] = {}
        for sweep in sweeps:
            if sweep.grows:
                place = sweep.directory.resolve()
                self._sweeps |= {place / job.directory: sweep for job in sweep.plan.jobs}

    def taken(self, original: Arm, changed: Arm) -> Taken:
        """Those at both arms; of runs without a sweep, as many as their seeds allow, in order."""
        found = [taken for arm in (original, changed) if (taken := self._of(arm)) is not None]
        if found:
            return min(found, key=lambda one: len(one.seeds))
        both = sorted(original.accuracies.keys() & changed.accuracies)
        looks = tuple(tuple(both[:count]) for count in up_to(len(both)))
        return Taken(looks, most=len(both))

    def _of(self, arm: Arm) -> Taken | None:
        """Of several sweeps that have runs of an arm, those of the one that is farthest."""
        places = (run.directory.resolve() for run in arm.runs.values())
        sweeps = {
            id(self._sweeps[place]): self._sweeps[place]
            for place in places
            if place in self._sweeps
        }
        taken = [
            Taken(growth.taken(one.plan.seeds, one.looks), len(one.plan.seeds), one.seen)
            for one in sweeps.values()
        ]
        return max(taken, key=lambda one: len(one.seeds), default=None)
