"""How much computing some runs took: what they share was computed once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sanity.report.data.runs import Run
from sanity.stages.stage import TRAIN_DENSE, TRAIN_TICKET


@dataclass(frozen=True)
class Computing:
    """Distinct trainings, of ``dense`` networks and ``tickets``, and the clock that they took.

    ``training`` and ``rest`` (masks, snapshots, rewinds) are seconds, of results that several
    runs use once; ``devices`` are those that trained. ``is_known``: every result tells its time.
    """

    dense: int
    tickets: int
    training: float
    rest: float
    devices: tuple[str, ...]
    is_known: bool

    @property
    def trained(self) -> int:
        """How many networks there are."""
        return self.dense + self.tickets


def computing(runs: Iterable[Run]) -> Computing:
    """Of all stages of ``runs``, each result once; it bears its key wherever it was used."""
    found: dict[tuple[str, str], Any] = {}
    for run in runs:
        for name, stage in run.stages.items():
            kind = next((one for one in (TRAIN_DENSE, TRAIN_TICKET) if name.startswith(one)), "")
            found.setdefault((kind, stage["key"]), stage)
    trained = {key: stage for key, stage in found.items() if key[0]}
    seconds = {key: stage.get("seconds") or 0.0 for key, stage in found.items()}
    return Computing(
        dense=sum(kind == TRAIN_DENSE for kind, _ in trained),
        tickets=sum(kind == TRAIN_TICKET for kind, _ in trained),
        training=sum(seconds[key] for key in trained),
        rest=sum(seconds[key] for key in found.keys() - trained.keys()),
        devices=tuple(sorted({stage["device"] for stage in trained.values() if stage["device"]})),
        is_known=all(stage.get("seconds") is not None for stage in found.values()),
    )
