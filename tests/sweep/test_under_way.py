"""What status says of jobs and stages that run now: their epoch, or whom they wait for."""

from pathlib import Path

import pytest
from standing import reach, store, sweep_in

from sanity.core import locks
from sanity.record.record import exclusive
from sanity.store import Store
from sanity.sweep.scheduler import Poll
from sanity.sweep.states import State
from sanity.sweep.sweep import Sweep
from sanity.sweep.under_way import shared, told


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return sweep_in(tmp_path)


def why(sweep: Sweep, number: int = 0) -> str:
    (found,) = told(sweep, [State(sweep.plan.jobs[number], "running")])
    return found.why


def test_a_running_job_tells_its_stage_and_epoch(sweep: Sweep) -> None:
    directory = sweep.directory / "0"
    assert why(sweep) == "train_dense: epoch 0/10"
    reach(directory, "train_dense", 1, 3)
    assert why(sweep) == "train_dense: epoch 3/10"
    store(sweep, "train_dense", "a")
    assert why(sweep) == "prune"
    store(sweep, "prune", "mask0")
    assert why(sweep) == "train_ticket: epoch 0/10"
    reach(directory, "train_ticket", 5, 7)
    assert why(sweep) == "train_ticket: epoch 7/10"
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "train_ticket", "epo')  # half a line, as it is being written
    assert why(sweep) == "train_ticket: epoch 7/10"
    store(sweep, "train_ticket", "ticket0")
    assert why(sweep) == ""


def test_a_stage_beside_the_plans_is_told_too(sweep: Sweep) -> None:
    store(sweep, "train_dense", "a")
    store(sweep, "prune", "mask0")
    reach(sweep.directory / "0", "snapshot", 1, 2)
    assert why(sweep) == "snapshot: epoch 2"


def test_other_words_are_left_alone(sweep: Sweep) -> None:
    states = [State(sweep.plan.jobs[0], "failed", "it broke"), State(sweep.plan.jobs[1], "done")]
    assert told(sweep, states) == states


def test_a_job_that_waits_for_anothers_stage_says_so(sweep: Sweep) -> None:
    opened = Store(sweep.store_dir)
    opened.open()
    directory = sweep.directory / "0"
    directory.mkdir()
    lock = opened.lock_of("train_dense", "a")
    with exclusive(directory):
        with opened.locked("train_dense", "a"):  # by itself
            assert why(sweep) == "train_dense: epoch 0/10"
        with locks.held(lock, "it"):
            lock.write_text("process 7 on elsewhere")
            assert why(sweep) == "waits for train_dense, which process 7 on elsewhere computes"
        lock.write_text("process 7 on elsewhere")  # which was killed
        assert why(sweep) == "train_dense: epoch 0/10"


def test_a_run_says_in_its_lock_who_it_is(sweep: Sweep) -> None:
    with exclusive(sweep.directory):
        assert (locks.holder(sweep.directory / ".lock") or "").startswith("process ")
    assert locks.holder(sweep.directory / ".lock") is None


def test_shared_stages_are_counted_and_running_ones_named(sweep: Sweep) -> None:
    assert shared(sweep, Poll()) == (0, [])
    store(sweep, "train_dense", "b")
    directory = sweep.stage_directory(sweep.plan.shared["a"].stage)
    reach(directory, "train_dense", 1, 2)
    with exclusive(directory):
        done, (running,) = shared(sweep, Poll())
    assert done == 1
    assert (running.name, running.key, running.why) == (
        "train_dense",
        "a",
        "train_dense: epoch 2/10",
    )
