"""One stage, executed: taken from the store, or computed and stored, and noted in the record."""

import logging
import time
from typing import Any

from sanity import identity
from sanity.experiment.experiment import Experiment
from sanity.stages.context import Context
from sanity.stages.stage import DONOR, PRUNE, SNAPSHOT, TRAIN_DENSE, Stage
from sanity.store import Entry, Work
from sanity.store.notes import Note
from sanity.training import engines

log = logging.getLogger(__name__)


def execute(stage: Stage, context: Context) -> Entry:
    """The stage's result; those of its inputs are in ``context`` already.

    Raises ChangedError, and stores nothing, where code or files changed while it was computed.
    """
    record, store = context.record, context.store
    inputs = {role: context.results[one.key] for role, one in stage.inputs.items()}

    def compute(work: Work) -> dict[str, Any]:
        record.begin_stage(stage.name, stage.key, stage.perturbed)
        before = identity.loaded()
        with identity.watched() as reads:
            facts = stage.compute(context, inputs, work)
        experiment = context.experiment
        experiment.code.refuse_change(before, reads)
        places = (store.root, context.data.data_dir, record.directory, *engines.directories())
        unknown = identity.unknown_to_keys(reads, experiment.code, places)
        unknown += identity.changes_unknown_to_keys(_told_by_key(stage, experiment))
        facts = {"computed_by": context.computed_by} | facts
        return facts | ({"unknown_to_key": unknown} if unknown else {})

    planned = context.planned
    if planned is None or stage.name not in planned.keys:  # a sweep has noted what it planned
        Note(store.root, record.directory).add(stage.kind, stage.key)
    start = time.perf_counter()
    entry = store.fetch(stage.kind, stage.settings, compute)
    seconds = time.perf_counter() - start
    log.info("%-14s %s", stage.name, f"reused {entry.key}" if entry.reused else f"{seconds:.1f} s")
    identity.tell_unknown(stage.name, entry.facts.get("unknown_to_key", []))
    record.add_stage(stage.name, entry, stage.perturbed)
    context.results[stage.key] = entry
    return entry


def _told_by_key(stage: Stage, experiment: Experiment) -> identity.Code:
    """The code that a stage's key tells: of what it is computed with, and no more."""
    if stage.perturbed:
        return experiment.code
    if stage.kind in (TRAIN_DENSE, SNAPSHOT):
        return experiment.dense_code
    if stage.kind == PRUNE:
        method = experiment.donor if stage.name == DONOR and experiment.donor else experiment.method
        return experiment.dense_code | method.code
    return experiment.code
