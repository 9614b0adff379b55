"""One run, as the paper tells it: train the dense network, prune it, rewind, train the ticket."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sanity import trackers
from sanity.core import device
from sanity.core.config import CHOSEN, make_importable
from sanity.core.cores import cores
from sanity.core.errors import SanityError, StoreError, TrainingError
from sanity.core.signals import Terminated
from sanity.experiment import unread
from sanity.experiment.composition import Composition, composition_of_run
from sanity.experiment.experiment import Experiment, build
from sanity.experiment.validation import validate
from sanity.pruning import masks
from sanity.pruning.masks import Mask
from sanity.record import summary
from sanity.record.record import Record, exclusive
from sanity.stages.chain import chain
from sanity.stages.context import Context
from sanity.stages.execute import execute
from sanity.stages.prune import warn
from sanity.stages.results import final, mask_of
from sanity.stages.stage import DONOR, PRUNE, REWIND, TRAIN_DENSE, TRAIN_TICKET, Planned, Stage
from sanity.stats import criteria
from sanity.store import Entry, Store, key_of
from sanity.store.notes import Note
from sanity.trackers.hub import Hub
from sanity.trackers.shown import SHOWN, ShownRuns

log = logging.getLogger(__name__)

Reached = dict[str, Entry]
"""What a run has reached so far: the results of its stages by name."""


def run(
    cfg: DictConfig, directory: Path | None = None, planned: Planned | None = None
) -> float | None:
    """Run one configuration, leave ``record.json`` in ``directory``, return its accuracy.

    The accuracy (percent) is the validation set's where there is one, otherwise the test set's;
    None where ``until`` stops before a ticket is trained. Raises SanityError for what the user
    can mend; the record then says ``failed`` and why. ``planned`` is what a sweep expects of it.
    """
    directory = directory or _run_directory()
    with exclusive(directory, wait=planned is not None):
        return _run(cfg, directory, planned)


def _run(cfg: DictConfig, directory: Path, planned: Planned | None) -> float | None:
    record = Record(directory, _settings(cfg), _choices(cfg), _sweep(cfg))
    reached: Reached = {}
    try:
        # Of a planned job, the plan has seen to what nobody reads.
        composed = composition_of_run(cfg) if planned is None else Composition({})
        unread.refuse_unread(composed)
        with unread.locating(composed):
            shown_by = trackers.build(cfg)
            criteria.of(cfg)  # a report will ask, when nothing can be mended any more
            experiment = build(cfg)
            record.content["config"] = _settings(cfg)
            record.content["identity"] = _identity(experiment)
            _note_network(record, experiment)
            validate(experiment)
        for note in experiment.notes:
            log.info("%s", note)
        stages = chain(experiment) if planned is None else planned.of(chain(experiment))
        context = _open(experiment, record, planned)
        trackers.say_where(shown_by, _sweep(cfg))
        record.listener = Hub(shown_by, ShownRuns(context.store.root / SHOWN))
        follow(stages, context, reached)
    except BaseException as error:
        if reached:
            with suppress(SanityError, OSError):  # the error at hand is the one to tell
                _note_results(record, experiment, reached)
        record.fail(_reason(error))
        raise
    _note_results(record, experiment, reached)
    record.complete()
    with suppress(StoreError):  # what was noted on the way names them all
        Note(context.store.root, directory).replace(record.results)
    with suppress(OSError, ValueError):  # of a terminal that was closed, a stream that is odd
        summary.show(record)
    return record.objective


def follow(stages: Sequence[Stage], context: Context, reached: Reached) -> None:
    """Take a run's stages from the store or compute them, noting at once what is ``reached``."""
    for stage in stages:
        if stage.kind == TRAIN_TICKET:
            refuse_dead(context, context.results[stage.inputs["mask"].key])
        entry = execute(stage, context)
        reached[stage.name] = entry
        if stage.kind == PRUNE:
            warn(stage, entry)
            if stage.name != DONOR:
                _note_mask(context, stage, entry, mask_of(entry), entry.facts["ties"])
        elif stage.kind == TRAIN_TICKET and context.experiment.pruner.mask_update() is not None:
            ties = context.record.content["ticket"].get("ties")
            _note_mask(context, stage, entry, final(entry)[1], ties)


def _note_network(record: Record, experiment: Experiment) -> None:
    """Note what was seen of the network's structure, and tell what one should know of it."""
    found = experiment.blueprint
    record.content["network"] = {
        "shortcuts": found.shortcuts,
        "classifier": list(found.classifier),
        "remarks": list(found.remarks),
    }
    for remark in found.remarks:
        log.warning("arch: %s", remark)


def _note_mask(
    context: Context, stage: Stage, entry: Entry, mask: Mask, ties: dict[str, Any] | None
) -> None:
    """Note in the record what the mask keeps: before its ticket is trained, and where it moved."""
    experiment = context.experiment
    # On the way to the last round's mask less is pruned.
    asked = experiment.sparsity if stage.name in (PRUNE, TRAIN_TICKET) else None
    is_moved = stage.kind == TRAIN_TICKET
    remarks = context.record.set_ticket(
        experiment.blueprint, mask, asked, ties, entry.facts.get("footprint"), is_moved=is_moved
    )
    for remark in remarks:
        log.warning("%s", remark)


def refuse_dead(context: Context, pruned: Entry) -> None:
    """Raise TrainingError rather than train, unasked, a network that cannot learn anything."""
    if pruned.facts["dead"] and not context.experiment.settings.allow_dead:
        empty = ", ".join(pruned.facts["empty"])
        raise TrainingError(
            f"the ticket is dead: no path of kept weights leads from input to output "
            f"({'empty: ' + empty if empty else 'none of its layers is empty'}); lower "
            "ratio.sparsity, choose another ratio, or train it all the same with allow_dead=true"
        )


def _open(experiment: Experiment, record: Record, planned: Planned | None) -> Context:
    settings = experiment.settings
    threads = settings.threads or min(torch.get_num_threads(), cores())
    torch.set_num_threads(threads)  # torch itself knows nothing of a cgroup's quota
    device.use_exact_arithmetic()
    store = Store(Path(settings.store_dir))
    store.open()
    return Context(experiment, store, device.choose(settings.device), record, planned)


def _note_results(record: Record, experiment: Experiment, reached: Reached) -> None:
    """Note in the record what the stages found."""
    dense, ticket = reached.get(TRAIN_DENSE), reached.get(TRAIN_TICKET)
    if dense is not None and not experiment.pruner.prunes:
        whole, footprint = masks.full(experiment.blueprint), dense.facts.get("footprint")
        record.set_ticket(experiment.blueprint, whole, footprint=footprint)
    pruned = _last(PRUNE, reached)
    entries = [dense, reached.get(DONOR), pruned, _last(REWIND, reached)]
    effects = [entry.facts["effect"] for entry in entries if entry and "effect" in entry.facts]
    record.set_check(record.content["choices"]["sanity_check"], effects[0] if effects else None)
    record.add_results(
        dense=dense, pruned=pruned, ticket=ticket, baseline=not experiment.pruner.prunes
    )


def _last(kind: str, reached: Reached) -> Entry | None:
    """The result of the last stage of its kind; the donor of a ratio is none of the ticket's."""
    found = [entry for name, entry in reached.items() if entry.stage == kind and name != DONOR]
    return found[-1] if found else None


def _identity(experiment: Experiment) -> dict[str, str]:
    """A digest of what names each part in keys: the code, files and images that settings hide."""
    ids = experiment.ids
    named = {"dataset": ids.dataset, "arch": ids.arch, "training": ids.recipe}
    named |= {"rewind": ids.rewind, "sanity_check": ids.check, **experiment.method.identity}
    return {name: key_of("part", {name: values}) for name, values in named.items()}


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted"
    if isinstance(error, SanityError | Terminated):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _run_directory() -> Path:
    """Hydra's; where it was not Hydra that called, one like it below the working directory."""
    if HydraConfig.initialized():
        return Path(HydraConfig.get().runtime.output_dir)
    return Path("outputs", f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}").absolute()


def _choices(cfg: DictConfig) -> dict[str, str]:
    """The option chosen in each group, by name; without Hydra, the name of its module."""
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        make_importable(hydra.runtime.config_sources)
        chosen = OmegaConf.to_container(hydra.runtime.choices)
        return {group: str(chosen.get(group)) for group in CHOSEN}  # type: ignore[union-attr]
    targets = {group: str(cfg[group]._target_) for group in CHOSEN}
    return {group: target.split(".")[-2].rstrip("_") for group, target in targets.items()}


def _sweep(cfg: DictConfig) -> str | None:
    """The sweep that the run is a part of, by name; itself it is told."""
    name = OmegaConf.select(cfg, "sweep.name")
    return None if name is None else str(name)


def _settings(cfg: DictConfig) -> dict[str, Any]:
    """All settings of the run; the sweep that it may be a part of is none of them."""
    content = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    content.pop("sweep", None)
    return content
