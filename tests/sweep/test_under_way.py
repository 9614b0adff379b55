"""What status says of jobs and stages that run now: their epoch, or whom they wait for."""

from pathlib import Path

import pytest
from standing import reach, store, sweep

from sanity.core import locks
from sanity.record.record import claim
from sanity.store import Store
from sanity.sweep.book import Book
from sanity.sweep.states import State
from sanity.sweep.under_way import shared, told


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return sweep(tmp_path)


def why(book: Book, number: int = 0) -> str:
    (found,) = told(book, [State(book.plan.jobs[number], "running")])
    return found.why


def test_a_running_job_tells_its_stage_and_epoch(book: Book) -> None:
    directory = book.directory / "0"
    assert why(book) == "train_dense: epoch 0/10"
    reach(directory, "train_dense", 1, 3)
    assert why(book) == "train_dense: epoch 3/10"
    store(book, "train_dense", "a")
    assert why(book) == "prune"
    store(book, "prune", "mask0")
    assert why(book) == "train_ticket: epoch 0/10"
    reach(directory, "train_ticket", 5, 7)
    assert why(book) == "train_ticket: epoch 7/10"
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "train_ticket", "epo')  # half a line, as it is being written
    assert why(book) == "train_ticket: epoch 7/10"
    store(book, "train_ticket", "ticket0")
    assert why(book) == ""


def test_a_stage_beside_the_plans_is_told_too(book: Book) -> None:
    store(book, "train_dense", "a")
    store(book, "prune", "mask0")
    reach(book.directory / "0", "snapshot", 1, 2)
    assert why(book) == "snapshot: epoch 2"


def test_other_words_are_left_alone(book: Book) -> None:
    states = [State(book.plan.jobs[0], "failed", "it broke"), State(book.plan.jobs[1], "done")]
    assert told(book, states) == states


def test_a_job_that_waits_for_anothers_stage_says_so(book: Book) -> None:
    opened = Store(book.store_dir)
    opened.open()
    directory = book.directory / "0"
    directory.mkdir()
    lock = opened.lock_of("train_dense", "a")
    with claim(directory):
        with opened.locked("train_dense", "a"):  # by itself
            assert why(book) == "train_dense: epoch 0/10"
        with locks.held(lock, "it"):
            lock.write_text("process 7 on elsewhere")
            assert why(book) == "waits for train_dense, which process 7 on elsewhere computes"
        lock.write_text("process 7 on elsewhere")  # which was killed
        assert why(book) == "train_dense: epoch 0/10"


def test_a_run_says_in_its_lock_who_it_is(book: Book) -> None:
    with claim(book.directory):
        assert (locks.holder(book.directory / ".lock") or "").startswith("process ")
    assert locks.holder(book.directory / ".lock") is None


def test_shared_stages_are_counted_and_running_ones_named(book: Book) -> None:
    assert shared(book) == (0, [])
    store(book, "train_dense", "b")
    directory = book.stage_directory(book.plan.shared["a"].stage)
    reach(directory, "train_dense", 1, 2)
    with claim(directory):
        done, (running,) = shared(book)
    assert done == 1
    assert (running.name, running.key, running.why) == (
        "train_dense",
        "a",
        "train_dense: epoch 2/10",
    )
