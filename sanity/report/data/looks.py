"""The looks that were taken at a question whose seeds were added until it was decided."""

from collections import defaultdict
from collections.abc import Sequence

from sanity.report.data.cells import Arm
from sanity.stages.stage import TRAIN_TICKET
from sanity.stats.looks import up_to
from sanity.stats.paired import Taken
from sanity.sweep import growth
from sanity.sweep.sweep import Sweep


class Looks:
    """Those of some sweeps, by the tickets of an arm."""

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._sweeps = [sweep for sweep in sweeps if sweep.grows]
        # By ticket: of several sweeps that have the same one, the run of one counts.
        self._jobs = defaultdict[str, list[tuple[int, int]]](list)
        for number, sweep in enumerate(self._sweeps):
            for job in sweep.plan.jobs:
                self._jobs[job.stages[-1].key].append((number, job.number))

    def taken(self, original: Arm, changed: Arm) -> Taken:
        """Those at both arms; of runs without a sweep, as many as their seeds allow, in order."""
        ours, theirs = self._of(original), self._of(changed)
        # A sweep that asks just this counts; of several the first, whatever came of them.
        shared = [number for number in ours if number in theirs]
        found = [one[number] for one in (ours, theirs) for number in (shared or [*one])[:1]]
        if found:
            one, other = found[0], found[-1]
            pairs = zip(one.seeds, other.seeds, strict=False)
            looks = tuple(tuple(seed for seed in first if seed in then) for first, then in pairs)
            return Taken(looks, min(one.most, other.most), one.seen or other.seen)
        both = sorted(original.accuracies.keys() & changed.accuracies)
        looks = tuple(tuple(both[:count]) for count in up_to(len(both)))
        return Taken(looks, most=len(both))

    def _of(self, arm: Arm) -> dict[int, Taken]:
        """Those of every sweep that has runs of an arm, by the sweep's number."""
        jobs = defaultdict[int, dict[int, int]](dict)
        for seed, run in arm.runs.items():
            key = run.stages.get(TRAIN_TICKET, {}).get("key", "")
            for sweep, number in self._jobs.get(key, ()):
                jobs[sweep][number] = seed
        return {
            number: Taken(growth.taken(one.looks, jobs[number]), len(one.plan.seeds), one.seen)
            for number, one in enumerate(self._sweeps)
            if number in jobs
        }
