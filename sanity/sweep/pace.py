"""How long an epoch takes, by like trainings in the store, whatever else their machines had to do.

The clock counts what other programs took as well; CPU time does not. So a pace has two bounds: an
epoch cannot take less than its CPU time on all threads, and should not take more than it took.
"""

import json
import os
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from sanity.core.console import NEAR, span
from sanity.core.device import choose
from sanity.stages.stage import TRAINING, costs_like

SAMPLE = 300  # stored results of a stage that are looked at for their time


@dataclass(frozen=True)
class Span:
    """A time in seconds, known within bounds."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> "Span":
        return Span(self.low * factor, self.high * factor)

    def at_least(self, other: "Span") -> "Span":
        """The longer of two, bound by bound."""
        return Span(max(self.low, other.low), max(self.high, other.high))

    @property
    def middle(self) -> float:
        """Between the bounds."""
        return (self.low + self.high) / 2

    @property
    def is_wide(self) -> bool:
        """Whether one number would not do."""
        return self.high > NEAR * self.low

    def __str__(self) -> str:
        """ "about 8 minutes", "8 to 31 minutes"."""
        text = span(self.low, self.high)
        return text if self.is_wide else f"about {text}"


@dataclass(frozen=True)
class Capacity:
    """What a launcher has to run jobs on: ``workers`` at a time, each with its threads and device.

    None: as many as a cluster has room for; a device that is not known before.
    """

    workers: int | None
    threads: int
    device: str | None


ALONE = Capacity(workers=1, threads=1, device=None)


def own(device: Any, threads: Any) -> Capacity:
    """This process by itself, as the settings ``device`` and ``threads`` have it."""
    return Capacity(1, threads or torch.get_num_threads(), kind_of(device))


def kind_of(device: Any) -> str | None:
    """cpu, cuda or mps, where a setting says so."""
    try:
        return choose("auto").type if device == "auto" else torch.device(str(device)).type
    except RuntimeError:  # a name that each job will refuse
        return None


@dataclass(frozen=True)
class Pace:
    """An epoch's time, and by how many stored trainings it is known."""

    seconds: Span
    samples: int


def paces(store_dir: Path, capacity: Capacity) -> dict[str, Pace]:
    """The paces of all trainings of which the store has like ones on such devices, by what they
    cost like (:func:`costs_like`).

    Tickets of a workload of which it has dense networks alone are taken to cost what these do, and
    the other way round.
    """
    found: dict[tuple[str, str], list[Span]] = {}
    for kind in TRAINING:
        for workload, epoch in _epochs(store_dir / kind, capacity):
            found.setdefault((kind, workload), []).append(epoch)
    known = {one: Pace(_median(spans), len(spans)) for one, spans in found.items()}
    for (_, workload), pace in list(known.items()):
        for kind in TRAINING:
            known.setdefault((kind, workload), pace)
    return {costs_like(*one): pace for one, pace in known.items()}


def _median(spans: list[Span]) -> Span:
    low = statistics.median(one.low for one in spans)
    return Span(low, statistics.median(one.high for one in spans))


def _epochs(directory: Path, capacity: Capacity) -> Iterator[tuple[str, Span]]:
    """The workloads of some stored trainings, and what an epoch of them would take there."""
    if not directory.is_dir():
        return
    with os.scandir(directory) as entries:
        for entry in islice(entries, SAMPLE):
            try:
                text = (Path(entry.path) / "manifest.json").read_text(encoding="utf-8")
                facts = json.loads(text)["facts"]
                how = facts["computed_by"]
                if capacity.device in (None, how["device"]):
                    seconds = statistics.median(epoch["seconds"] for epoch in facts["epochs"])
                    yield facts["workload"], _on(capacity, seconds, how)
            except (OSError, ValueError, KeyError, TypeError, statistics.StatisticsError):
                continue


def _on(capacity: Capacity, seconds: float, how: Mapping[str, Any]) -> Span:
    """What an epoch would take there that took so many ``seconds`` by the clock."""
    if how["device"] != "cpu":  # what a GPU has to do, no CPU time tells
        return Span(seconds, seconds)
    # The share is the CPU time a second of all threads together.
    low = seconds * float(how["cpu_share"]) / capacity.threads
    slower = max(1.0, int(how["threads"]) / capacity.threads)
    return Span(low, max(low, seconds * slower))
