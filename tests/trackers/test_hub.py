"""Trackers are told everything once, whatever happens to them or to the run."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from conftest import Run
from resuming import Stopped, disturb

from sanity.core import pending
from sanity.trackers.base import Curve, Ending, Tracker, Training


class Notebook(Tracker):
    """Writes down what it is told; can be made to fail or to hang."""

    name: ClassVar[str] = "notebook"

    def __init__(self) -> None:
        self.curves: list[NotebookCurve] = []
        self.fail_in: str | None = None
        self.hang = threading.Event()
        self.hang.set()
        self.seconds = 10.0

    @property
    def patience(self) -> float:
        return self.seconds

    @property
    def place(self) -> str:
        return "here"

    def where(self, group: str | None) -> str:
        return f"notebook {group}"

    def validate(self) -> None:
        """Nothing can be wrong."""

    def open(self, training: Training) -> Curve:
        self.hang.wait()
        self.stumble("open")
        self.curves.append(NotebookCurve(self, training))
        return self.curves[-1]

    def stumble(self, where: str) -> None:
        if self.fail_in == where:
            raise RuntimeError(f"no ink in {where}")

    @property
    def finished(self) -> list[tuple[str, list[int]]]:
        """The stages that were shown to their end, with their epochs."""
        return [(c.training.stage, c.epochs) for c in self.curves if c.ending is not None]


class NotebookCurve(Curve):
    def __init__(self, notebook: Notebook, training: Training) -> None:
        self.notebook, self.training = notebook, training
        self.epochs: list[int] = []
        self.ending: Ending | None = None

    def add(self, figures: Mapping[str, Any]) -> None:
        self.notebook.stumble("add")
        self.epochs.append(figures["epoch"])

    def finish(self, ending: Ending) -> None:
        self.notebook.stumble("finish")
        self.ending = ending


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    found = Notebook()
    monkeypatch.setattr("sanity.trackers.build", lambda cfg: [found])
    yield found
    found.hang.set()
    pending.settle()


@pytest.fixture
def told(run: Run) -> Run:
    """Run, and wait until the tracker has been told everything."""

    def execute(*overrides: str, tiny: bool = True) -> dict[str, Any]:
        try:
            return run(*overrides, tiny=tiny)
        finally:
            pending.settle()

    return execute


def test_every_trained_stage_is_told_once_epoch_by_epoch(told: Run, notebook: Notebook) -> None:
    told("pruner=lt")
    assert notebook.finished == [("train_dense", [0, 1]), ("train_ticket", [0, 1])]
    ticket = notebook.curves[1]
    assert ticket.ending is not None
    assert "final/dense_test_accuracy" in ticket.ending.summary
    assert ticket.training.config["parent"] == notebook.curves[0].training.id


def test_a_dense_network_of_many_tickets_is_told_once(told: Run, notebook: Notebook) -> None:
    for check in ("none", "rearrange", "shuffle_weights"):
        told("pruner=lt", f"sanity_check={check}")
    told("pruner=lt")  # all of it again
    stages = [stage for stage, _ in notebook.finished]
    assert stages == ["train_dense", "train_ticket", "train_ticket", "train_ticket"]


def test_what_was_trained_without_a_tracker_is_told_when_it_is_reused(
    told: Run, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr("sanity.trackers.build", lambda cfg: [])
        told("pruner=lt")
    told("pruner=lt")
    assert notebook.finished == [("train_dense", [0, 1]), ("train_ticket", [0, 1])]


def test_a_sweep_has_its_own_curves_of_what_it_shares_with_others(
    told: Run, notebook: Notebook
) -> None:
    for sweep in ("null", "a", "b", "b"):
        told("pruner=lt", f"sweep.name={sweep}")
    groups = [curve.training.group for curve in notebook.curves]
    assert groups == [None, None, "a", "a", "b", "b"]
    assert all(epochs == [0, 1] for _, epochs in notebook.finished)


def test_a_broken_off_training_is_told_again_from_its_first_epoch(
    told: Run, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ("pruner=random", "training.epochs=4", "checkpoint_every=0")
    with monkeypatch.context() as broken:
        disturb(broken, after=7)
        with pytest.raises(Stopped):
            told(*overrides)
    told(*overrides)
    first, second = notebook.curves
    assert first.training == second.training
    assert first.epochs == [0, 1]
    assert first.ending is not None
    assert first.ending.status == "failed"
    assert second.epochs == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["open", "add", "finish"])
def test_a_tracker_that_fails_is_one_warning_and_the_run_goes_on(
    where: str, told: Run, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    notebook.fail_in = where
    record = told("pruner=lt")
    assert record["status"] == "completed"
    warnings = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    (warning,) = warnings
    assert warning.startswith(f"notebook: no ink in {where}; the run goes on")
    notebook.fail_in = None
    told("pruner=lt")  # whatever was not told to its end is told now
    assert notebook.finished == [("train_dense", [0, 1]), ("train_ticket", [0, 1])]


def test_a_tracker_that_hangs_holds_up_the_end_for_its_patience_and_no_longer(
    run: Run, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    notebook.hang.clear()
    notebook.seconds = 0.3
    record = run("pruner=lt")
    assert record["status"] == "completed"
    start = time.monotonic()
    pending.settle()
    assert 0.2 < time.monotonic() - start < 2
    assert "notebook has not taken everything within 0 s" in caplog.text


def test_a_run_that_trains_nothing_says_nothing(told: Run, notebook: Notebook) -> None:
    told("pruner=random", "until=prune")
    assert notebook.curves == []


def test_rounds_are_told_as_they_end(told: Run, notebook: Notebook) -> None:
    told("pruner=imp", "pruner.rounds=2", "rewind=epoch", "rewind.epoch=1")
    assert notebook.finished == [
        ("train_dense", [0, 1]),
        ("train_ticket_1", [1]),
        ("train_ticket", [1]),
    ]


def test_two_processes_do_not_tell_the_same_training(
    told: Run, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sanity.trackers.shown import ShownRuns

    claims: list[Any] = []
    original: Callable[..., Any] = ShownRuns.lease

    def lease(self: ShownRuns, tracker: Tracker, training: Training, **how: Any) -> Any:
        how["wait"] = 0.0
        first, second = (original(self, tracker, training, **how) for _ in range(2))
        claims.append((first is not None, second is not None))
        return first

    monkeypatch.setattr(ShownRuns, "lease", lease)
    told("pruner=random")
    assert claims == [(True, False)]
