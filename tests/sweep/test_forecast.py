"""What is left of a sweep: by its plan at once, by its own epochs as it goes on."""

import logging
from pathlib import Path

import pytest
from standing import reach, store, sweep

from sanity.sweep import forecast as module
from sanity.sweep import progress as progress_module
from sanity.sweep.book import Book
from sanity.sweep.forecast import Forecast, outstanding
from sanity.sweep.pace import Span
from sanity.sweep.progress import Progress
from sanity.sweep.states import State
from sanity.sweep.under_way import told


class Clock:
    """A time that a test moves on."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    monkeypatch.setattr(progress_module, "time", found)
    return found


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return sweep(tmp_path)


ALL: list[int | str] = ["a", "b", 0, 1, 2, 3]


def of(book: Book, pace: Span | None = None) -> Forecast:
    paces = {} if pace is None else {"w": pace}
    return Forecast(outstanding(book, book.plan.jobs), paces)


def test_shared_stages_and_jobs_are_counted_once(book: Book) -> None:
    work = outstanding(book, book.plan.jobs)
    totals = {subject: one.total for subject, one in work.items()}
    assert totals == {"a": 10, "b": 10, 0: 6, 1: 6, 2: 6, 3: 6}
    assert [list(work[number].after) for number in (0, 1)] == [["a"], ["b"]]


def test_what_the_store_has_is_no_work(book: Book) -> None:
    store(book, "train_dense", "a")
    store(book, "train_ticket", "ticket3")
    work = outstanding(book, book.plan.jobs)
    totals = {subject: one.total for subject, one in work.items()}
    assert totals == {"b": 10, 0: 6, 1: 6, 2: 6, 3: 0}
    assert work[0].after == []


def test_the_plan_tells_at_once_for_any_number_of_workers(book: Book) -> None:
    found = of(book, Span(1.0, 3.0))
    assert found.left(ALL, 1) == Span(44.0, 132.0)
    assert found.left(ALL, 2) == Span(22.0, 66.0)
    assert found.left(ALL, 100) == Span(16.0, 48.0)  # a dense network, and a ticket after it


def test_without_a_like_training_nothing_is_known_until_an_epoch_has_ended(book: Book) -> None:
    found = of(book)
    assert found.left(ALL, 2) is None
    found.look(["a", "b"])
    assert found.left(ALL, 2) is None
    reach(book.directory / "stages" / "train_dense-a", "train_dense", 1, 1, seconds=4.0)
    found.look(["a", "b"])
    assert found.left(ALL, 2) == Span(43 * 4 / 2, 43 * 4 / 2)


def test_its_own_epochs_correct_the_stores(book: Book) -> None:
    found = of(book, Span(1.0, 1.0))
    reach(book.directory / "stages" / "train_dense-a", "train_dense", 1, 5, seconds=6.0)
    found.look(["a", "b"])
    assert found.left(ALL, 1) == Span(39 * 6.0, 39 * 6.0)


def test_epochs_of_reused_stages_are_no_progress_and_rewound_ones_count_from_their_start(
    book: Book,
) -> None:
    store(book, "train_dense", "a")
    found = Forecast(outstanding(book, book.plan.jobs[:1]), {})
    reach(book.directory / "0", "train_dense", 1, 10)
    found.look([0])
    assert found.epochs([0]) == 6
    reach(book.directory / "0", "train_ticket", 5, 7)
    found.look([0])
    assert found.epochs([0]) == 3


def test_what_runs_need_beside_their_epochs_is_learned_but_for_the_first(
    book: Book, clock: Clock
) -> None:
    found = of(book, Span(1.0, 1.0))
    for subject, directory, seconds in (("a", "a", 60.0), ("b", "b", 25.0)):
        found.look([subject])
        clock.now += seconds
        name = f"train_dense-{directory}"
        reach(book.directory / "stages" / name, "train_dense", 1, 10, seconds=2.0)
        found.look([subject])
        found.look([])
        beside = 5.0 if subject == "b" else 0.0  # a's took 40, importing what b found imported
        assert found.left([0], 1) == Span(12.0 + beside, 12.0 + beside)


def test_lines_are_few_and_tell_stages_running_jobs_and_the_time_left(
    book: Book, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shown = Progress(None, None, 4, 0, of(book, Span(1.0, 1.0)))
    place = book.directory / "stages" / "train_dense-a"
    with caplog.at_level(logging.INFO):
        for second in range(1, 131):
            clock.now += 1.0
            reach(place, "train_dense", second, second, seconds=1.0)
            shown.look([0, 1, 2, 3], ["a", "b"], 2)
        shown.advance(3)
        shown.advance(1, failed=1)
        shown.look([], [], 2)
    assert caplog.messages == [
        "sweep  0/4 jobs  0/2 stages  2 running  39 epochs to go  about 20 seconds left",
        "sweep  0/4 jobs  0/2 stages  2 running  34 epochs to go  about 17 seconds left",
        "sweep  4/4 jobs  2/2 stages  1 failed",
    ]


@pytest.mark.parametrize("damage", [b"{", b"[]\n", b"null\n", b'{"stage": 1}\n', b"\xff\xfe\n"])
def test_damaged_metrics_tell_nothing(book: Book, damage: bytes) -> None:
    found = of(book, Span(1.0, 1.0))
    (book.directory / "0").mkdir()
    (book.directory / "0" / "metrics.jsonl").write_bytes(damage)
    found.look([0])
    assert found.epochs([0]) == 6
    states = told(book, [State(book.plan.jobs[0], "running")])
    assert [state.why for state in states] == ["train_dense: epoch 0/10"]
