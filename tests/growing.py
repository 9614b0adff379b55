"""Sweeps that grow, whose jobs end as a test wants, without any training."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from planning import plan_of
from simulated import Arm, record

from sanity.sweep import launch
from sanity.sweep import sweep as sweeps
from sanity.sweep.plan import Job, Plan
from sanity.sweep.states import State, look
from sanity.sweep.sweep import Sweep

DECIDED = ("verdict.until=decided", "verdict.margin=1", "ratio.sparsity=0.9", "sweep.most_seeds=28")
CHECKED = (*DECIDED, "pruner=lt", "sanity_check=none,rearrange")

Accuracy = Callable[[Job], float | None]
"""Of the run of a job; None: it fails."""


def begun(place: Path, *arguments: str, budget: float | None = None) -> Sweep:
    """A sweep as its command leaves it before the first look; again: as the same command finds it.

    Its store lies beside it.
    """
    plan, store = _plan(*arguments), place.parent / "store"
    before = sweeps.read(place) if (place / sweeps.NAME).exists() else None
    seen = launch.seen(plan, before, store)
    rest = (sweeps.identity_of(plan), "s", store, "local", (), None, None, (), "now")
    Sweep(place, plan, *rest, budget=budget, seen=seen).write()
    return sweeps.read(place)


@functools.cache
def _plan(*arguments: str) -> Plan:
    return plan_of(*arguments)


def noisy(effects: dict[str, float], spread: float = 0.3) -> Accuracy:
    """Accuracies around 90 percent; ``effects`` are those of checks and of pruners."""

    def accuracy(job: Job) -> float:
        choices = job.choices
        effect = sum(effects.get(choices[group], 0.0) for group in ("pruner", "sanity_check"))
        texts = [*choices.values(), str(job.sparsity), str(job.seed)]
        chance = np.random.default_rng([ord(letter) for letter in "".join(texts)])
        return float(90 + effect + chance.normal(0, spread))

    return accuracy


def end(sweep: Sweep, accuracy: Accuracy, jobs: Sequence[Job] | None = None) -> None:
    """Let jobs end (all that were asked for); what is done stays as it is."""
    done = {one.job.number for one in look(sweep) if one.word == "done"}
    for job in sweep.plan.jobs if jobs is None else jobs:
        if job.number not in done:
            path = sweep.directory_of(job) / "record.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_record(job, accuracy(job))))


def starting(
    accuracy: Accuracy, asked: list[list[int]] | None = None
) -> Callable[[Sweep, Sequence[Job]], Callable[[], Sequence[State]]]:
    """What starts jobs, which end at once; their numbers are added to ``asked``, look by look."""

    def start(sweep: Sweep, jobs: Sequence[Job]) -> Callable[[], Sequence[State]]:
        if asked is not None:
            asked.append([job.number for job in jobs])
        end(sweep, accuracy, jobs)
        return lambda: look(sweep)

    return start


def _record(job: Job, accuracy: float | None) -> dict[str, object]:
    if accuracy is None:
        return {"status": "failed", "reason": "it broke", "stages": {}, "metrics": {}}
    choices, sparsity = job.choices, job.sparsity or 0.0
    arm = Arm(choices["pruner"], choices["sanity_check"], sparsity, job.seed, accuracy)
    found = record(dataclasses.replace(arm, ratio=choices["ratio"]))
    found["stages"]["train_ticket"]["key"] = job.stages[-1].key
    named = dict(text.split("=", 1) for text in job.overrides)
    found["config"]["verdict"] = {
        "margin": float(named["verdict.margin"]),
        "alpha": 0.05,
        "family": "cell",
        "until": named["verdict.until"],
    }
    return found
