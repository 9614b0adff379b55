"""A run as its record tells it: read, checked, and named where something is wrong with it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanity.core.config import CHOSEN
from sanity.core.errors import ConfigError, SanityError, as_line
from sanity.core.files import printable
from sanity.record import reading, remarks
from sanity.record.remarks import Guessing
from sanity.report.data import fields
from sanity.stats import criteria
from sanity.stats.criteria import Criteria

RECORD = "record.json"
OURS = "sanity."


@dataclass(frozen=True)
class Run:
    """A completed run, as its record tells it; ``metrics`` are in percent, losses aside."""

    directory: Path
    seed: int
    choices: Mapping[str, str]
    config: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, float]
    ticket: Mapping[str, Any] | None
    effect: Mapping[str, float]
    versions: Mapping[str, str]
    criteria: Criteria
    sweep: str | None = None
    overlap: int = 0
    identity: Mapping[str, str] = field(default_factory=dict)
    guessing: Guessing | None = None
    data_remarks: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """The last epoch's test accuracy; None of a run that trained no ticket."""
        return self.metrics.get("test_accuracy")

    @property
    def sparsity(self) -> float | None:
        """The prune ratio that was asked for; None where a file decided it, and named it or not."""
        asked = self.config.get("ratio", {}).get("sparsity")
        return None if isinstance(asked, str | None) else float(asked)

    @property
    def found_sparsity(self) -> float | None:
        """The share of weights that the mask removes."""
        return (self.ticket or {}).get("sparsity")

    @property
    def meant_sparsity(self) -> float | None:
        """That which was asked for, be it by a file; of earlier records what the mask removes."""
        asked = (self.ticket or {}).get("asked")
        return self.found_sparsity if asked is None else asked

    @property
    def missed(self) -> bool:
        """Whether the mask's size differs from what was asked for by more than rounding."""
        return bool(self.ticket and remarks.of_size(self.ticket, self.sparsity))

    @property
    def ties(self) -> float:
        """The share of kept weights that equal scores leave open, where it is worth a word."""
        ticket = self.ticket or {}
        told = remarks.of_ties(ticket.get("ties"), ticket.get("kept", 0))
        return ticket["ties"]["arbitrary"] / max(ticket["kept"], 1) if told else 0.0

    @property
    def dense_accuracy(self) -> float | None:
        """That of the dense network on clean data, if the run had one."""
        if self.stages.get("train_dense", {}).get("perturbed"):
            return None
        return self.metrics.get("dense_test_accuracy")

    @property
    def computed_by(self) -> str:
        """What trained its ticket, "the dense engine on cpu"; nothing where that is not known."""
        return str(self.stages.get("train_ticket", {}).get("computed_by", ""))

    def guesses(self, accuracy: float | None) -> bool:
        """Whether an accuracy on its test set is no better than guessing."""
        return self.guessing is not None and bool(self.guessing.remark(accuracy))

    @property
    def remarks(self) -> list[str]:
        """What to know of it before believing its numbers."""
        chance = self.guessing.remark(self.accuracy) if self.guessing else ""
        return [*self.data_remarks, *remarks.of_ticket(self.ticket), *([chance] if chance else [])]


@dataclass(frozen=True)
class Absent:
    """A run that has no result: ``word`` is failed, running, pending or missing."""

    directory: Path
    word: str
    why: str
    command: str = ""


def kind(config: Mapping[str, Any], group: str, choice: str) -> str:
    """What a group's choice is, by the class it names: of ours the module, else the class's path.

    An option's name is anybody's: one's own may be called ``random`` without being random, and
    ours be chosen under another name. Networks of one module are told apart by their names.
    """
    target = config.get(group, {}).get("_target_")
    if not isinstance(target, str) or (group in ("arch", "dataset") and target.startswith(OURS)):
        return choice
    parts = target.split(".")
    return parts[2].rstrip("_") if target.startswith(OURS) and len(parts) > 2 else target


def read(path: Path) -> Run | Absent:
    """The run of a ``record.json``; raises SanityError where it is none."""
    try:
        content = printable(reading.read(path))
        if content["status"] != "completed":
            return Absent(path.parent, str(content["status"]), str(content.get("reason", "")))
        return _run(path.parent, content)
    except ConfigError as error:
        raise SanityError(f"{path}: is damaged ({error})") from error
    except KeyError as error:
        raise SanityError(f"{path}: is damaged (it has no {error})") from error
    except (ValueError, TypeError, AttributeError, RecursionError, ArithmeticError) as error:
        raise SanityError(f"{path}: is damaged ({error})") from error


def epochs(run: Run, stage: str) -> list[dict[str, Any]]:
    """The figures of a stage's epochs, from ``metrics.jsonl``; none where the file is gone."""
    found = []
    try:
        with (run.directory / "metrics.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                figures = json.loads(line)
                numbers = all(fields.is_number(figures[n]) for n in ("test_accuracy", "epoch"))
                if figures["stage"] == stage and numbers:
                    found.append(figures)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return []
    return found


def versions(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The versions of each package that the runs used."""
    names = dict.fromkeys(name for run in runs for name in run.versions)
    return {name: sorted({run.versions.get(name, "none") for run in runs}) for name in names}


def _run(directory: Path, content: Mapping[str, Any]) -> Run:
    choices = {group: str(content["choices"][group]) for group in CHOSEN}
    for name in (*CHOSEN, "training"):
        if not isinstance(content["config"].get(name, {}), Mapping):
            raise ValueError(f"config.{name} is {content['config'][name]}")
    metrics = content["metrics"]
    for name, value in metrics.items():
        is_share = str(name).endswith("accuracy")
        if not fields.is_number(value) or (is_share and not 0 <= value <= 100):
            raise ValueError(f"metrics.{name} is {value}")
    stages = {
        name: {
            "key": str(stage["key"]),
            "perturbed": bool(stage.get("perturbed")),
            "computed_by": fields.computed_by(stage.get("computed_by")),
            "device": fields.device(stage.get("computed_by")),
            "seconds": fields.seconds(stage.get("seconds")),
        }
        for name, stage in content["stages"].items()
    }
    seed = content["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}")
    sparsity = content["config"]["ratio"].get("sparsity")
    if not isinstance(sparsity, str | None) and not fields.is_number(sparsity):
        raise ValueError(f"config.ratio.sparsity is {sparsity}")
    effect, data = (content.get("check") or {}).get("effect") or {}, content.get("data") or {}
    return Run(
        directory=directory,
        seed=seed,
        choices=choices,
        config=content["config"],
        stages=stages,
        metrics={name: float(value) for name, value in metrics.items()},
        ticket=fields.ticket(content["ticket"], sparsity),
        effect={str(name): value for name, value in effect.items() if fields.is_number(value)},
        versions={str(name): str(value) for name, value in content["versions"].items()},
        criteria=criteria.read(content["config"].get("verdict")),
        sweep=None if content.get("sweep") is None else str(content["sweep"]),
        overlap=int(data.get("overlap", 0)),
        identity={str(name): str(value) for name, value in content.get("identity", {}).items()},
        guessing=remarks.guessing(content),
        data_remarks=_remarks(data.get("remarks", [])),
    )


def _remarks(content: Any) -> tuple[str, ...]:
    if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
        raise ValueError("data.remarks are no texts")
    return tuple(map(as_line, content))
