"""One run, as the paper tells it: train the dense network, prune it, rewind, train the ticket."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sanity import device, masks, summary, trackers, unread
from sanity.composition import Composition, composition_of_run
from sanity.config import make_importable
from sanity.cores import cores
from sanity.errors import SanityError, StoreError, TrainingError
from sanity.parts import Parts, build
from sanity.record import Record, claim
from sanity.signals import Terminated
from sanity.stages.lab import Lab, Reached
from sanity.stages.network import Round, Trained
from sanity.stages.prune import prune, prune_donor
from sanity.stages.rewind import rewind
from sanity.stages.train_dense import train_dense
from sanity.stages.train_ticket import train_ticket
from sanity.stats import criteria
from sanity.store import Entry, Store, key_of
from sanity.store.notes import Note
from sanity.trackers.audience import Audience
from sanity.trackers.ledger import SHOWN, Ledger
from sanity.validation import validate

GROUPS = ("dataset", "arch", "pruner", "ratio", "rewind", "sanity_check")


@dataclass
class Outcome:
    """What a run has reached so far; stages that it did not need or reach are None."""

    dense: Trained | None = None
    donor: Entry | None = None
    pruned: Entry | None = None
    start: Entry | None = None
    ticket: Trained | None = None

    @property
    def reached(self) -> bool:
        """Whether any stage has a result."""
        return any((self.dense, self.donor, self.pruned))


def run(
    cfg: DictConfig,
    directory: Path | None = None,
    *,
    planned: Mapping[str, str] | None = None,
    last: str | None = None,
) -> float | None:
    """Run one configuration, leave ``record.json`` in ``directory``, return its accuracy.

    The accuracy (percent) is the validation set's where there is one, otherwise the test set's;
    None where ``until`` stops before a ticket is trained. Raises SanityError for what the user
    can mend; the record then says ``failed`` and why.

    A sweep gives the ``planned`` keys of the stages by name, and the name of the ``last`` stage
    where only a part of the run is wanted: unlike ``until`` it changes nothing of what the run is.
    """
    directory = directory or _run_directory()
    with claim(directory, wait=planned is not None):
        return _run(cfg, directory, planned, last)


def _run(
    cfg: DictConfig, directory: Path, planned: Mapping[str, str] | None, last: str | None
) -> float | None:
    record = Record(directory, _plain(cfg), _choices(cfg), _sweep(cfg))
    outcome = Outcome()
    try:
        # Of a planned job, the plan has seen to what nobody reads.
        composed = composition_of_run(cfg) if planned is None else Composition({})
        unread.refuse_unread(composed)
        with unread.locating(composed):
            shown_by = trackers.build(cfg)
            criteria.of(cfg)  # a report will ask, when nothing can be mended any more
            parts = build(cfg)
            record.content["config"] = _plain(cfg)
            record.content["identity"] = _identity(parts)
            validate(parts)
        lab = _open(parts, record, planned, last)
        trackers.say_where(shown_by, _sweep(cfg))
        record.listener = Audience(shown_by, Ledger(lab.store.root / SHOWN))
        with suppress(Reached):
            follow(lab, outcome)
    except BaseException as error:
        if outcome.reached:
            with suppress(SanityError, OSError):  # the error at hand is the one to tell
                _conclude(record, parts, outcome)
        record.fail(_reason(error))
        raise
    _conclude(record, parts, outcome)
    record.complete()
    with suppress(StoreError):  # what was noted on the way names them all
        Note(lab.store.root, directory).replace(record.results)
    with suppress(OSError, ValueError):  # of a terminal that was closed, a stream that is odd
        summary.show(record)
    return record.objective


def follow(lab: Lab, outcome: Outcome) -> None:
    """The stages of one run, each taken from the store where its result exists.

    What is reached goes into ``outcome``, so that it is known even if a later stage fails.
    """
    parts, until = lab.parts, lab.parts.settings.until
    if parts.needs_dense:
        outcome.dense = train_dense(lab)
    if until == "train_dense" or not parts.pruner.prunes:
        return

    trained = outcome.dense
    outcome.donor = prune_donor(lab, trained)
    rounds = parts.pruner.rounds(parts.ratio.sparsity)
    for turn in (Round(number, rounds) for number in range(1, rounds + 1)):
        outcome.pruned = prune(lab, trained, outcome.pruned, outcome.donor, turn)
        lab.note_mask(outcome.pruned, turn)
        if turn.last and until == "prune":
            break
        outcome.start = rewind(lab, outcome.dense, trained, outcome.pruned, turn)
        if turn.last and until == "rewind":
            break
        refuse_dead(lab, outcome.pruned)
        trained = train_ticket(lab, outcome.start, outcome.pruned, turn)
        if turn.last:
            outcome.ticket = trained


def refuse_dead(lab: Lab, pruned: Entry) -> None:
    """Raise TrainingError rather than train, unasked, a network that cannot learn anything."""
    if pruned.facts["dead"] and not lab.parts.settings.allow_dead:
        empty = ", ".join(pruned.facts["empty"])
        raise TrainingError(
            f"the ticket is dead: no path of kept weights leads from input to output "
            f"({'empty: ' + empty if empty else 'none of its layers is empty'}); lower "
            "ratio.sparsity, choose another ratio, or train it all the same with allow_dead=true"
        )


def _open(parts: Parts, record: Record, planned: Mapping[str, str] | None, last: str | None) -> Lab:
    settings = parts.settings
    threads = settings.threads or min(torch.get_num_threads(), cores())
    torch.set_num_threads(threads)  # torch itself knows nothing of a cgroup's quota
    device.use_exact_arithmetic()
    store = Store(Path(settings.store_dir))
    store.open()
    return Lab(parts, store, device.choose(settings.device), record, planned, last)


def _conclude(record: Record, parts: Parts, outcome: Outcome) -> None:
    """Note in the record what the stages found."""
    if outcome.dense is not None and not parts.pruner.prunes:
        record.set_ticket(parts.blueprint, masks.full(parts.blueprint))
    dense = outcome.dense.entry if outcome.dense else None
    ticket = outcome.ticket.entry if outcome.ticket else None
    entries = [dense, outcome.donor, outcome.pruned, outcome.start]
    effects = [entry.facts["effect"] for entry in entries if entry and "effect" in entry.facts]
    record.set_check(record.content["choices"]["sanity_check"], effects[0] if effects else None)
    record.add_results(
        dense=dense,
        pruned=outcome.pruned,
        ticket=ticket,
        baseline=not parts.pruner.prunes,
    )


def _identity(parts: Parts) -> dict[str, str]:
    """A digest of what names each part in keys: the code, files and images that settings hide."""
    ids = parts.ids
    named = {"dataset": ids.dataset, "arch": ids.arch, "training": ids.recipe}
    named |= {"rewind": ids.rewind, "sanity_check": ids.check, **parts.method.identity}
    return {name: key_of("part", {name: values}) for name, values in named.items()}


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted"
    return (
        str(error)
        if isinstance(error, SanityError | Terminated)
        else f"{type(error).__name__}: {error}"
    )


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
        return {group: str(chosen.get(group)) for group in GROUPS}  # type: ignore[union-attr]
    targets = {group: str(cfg[group]._target_) for group in GROUPS}
    return {group: target.split(".")[-2].rstrip("_") for group, target in targets.items()}


def _sweep(cfg: DictConfig) -> str | None:
    """The sweep that the run is a part of, by name; itself it is told."""
    name = OmegaConf.select(cfg, "sweep.name")
    return None if name is None else str(name)


def _plain(cfg: DictConfig) -> dict[str, Any]:
    """All settings of the run; the sweep that it may be a part of is none of them."""
    content = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    content.pop("sweep", None)
    return content
