"""What is left of a sweep: by its plan at once, by its own epochs as it goes on."""

import logging
from pathlib import Path

import pytest
from standing import reach, store, sweep_in

from sanity.stages.stage import TRAINING, costs_like
from sanity.sweep import forecast as module
from sanity.sweep import progress as progress_module
from sanity.sweep.forecast import Forecast, outstanding
from sanity.sweep.pace import Span
from sanity.sweep.progress import Progress
from sanity.sweep.states import State
from sanity.sweep.sweep import Sweep
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
def sweep(tmp_path: Path) -> Sweep:
    return sweep_in(tmp_path)


ALL: list[int | str] = ["a", "b", 0, 1, 2, 3]


def of(sweep: Sweep, pace: Span | None = None) -> Forecast:
    paces = {} if pace is None else {costs_like(kind, "w"): pace for kind in TRAINING}
    return Forecast(outstanding(sweep, sweep.plan.jobs), paces)


def test_shared_stages_and_jobs_are_counted_once(sweep: Sweep) -> None:
    work = outstanding(sweep, sweep.plan.jobs)
    totals = {subject: one.total for subject, one in work.items()}
    assert totals == {"a": 10, "b": 10, 0: 6, 1: 6, 2: 6, 3: 6}
    assert [list(work[number].after) for number in (0, 1)] == [["a"], ["b"]]


def test_what_the_store_has_is_no_work(sweep: Sweep) -> None:
    store(sweep, "train_dense", "a")
    store(sweep, "train_ticket", "ticket3")
    work = outstanding(sweep, sweep.plan.jobs)
    totals = {subject: one.total for subject, one in work.items()}
    assert totals == {"b": 10, 0: 6, 1: 6, 2: 6, 3: 0}
    assert work[0].after == []


def test_the_plan_tells_at_once_for_any_number_of_workers(sweep: Sweep) -> None:
    found = of(sweep, Span(1.0, 3.0))
    assert found.left(ALL, 1) == Span(44.0, 132.0)
    assert found.left(ALL, 2) == Span(22.0, 66.0)
    assert found.left(ALL, 100) == Span(16.0, 48.0)  # a dense network, and a ticket after it


def test_without_a_like_training_nothing_is_known_until_an_epoch_has_ended(sweep: Sweep) -> None:
    found = of(sweep)
    assert found.left(ALL, 2) is None
    found.look(["a", "b"])
    assert found.left(ALL, 2) is None
    reach(sweep.directory / "stages" / "train_dense-a", "train_dense", 1, 1, seconds=4.0)
    found.look(["a", "b"])
    assert found.left(ALL, 2) == Span(43 * 4 / 2, 43 * 4 / 2)


def test_its_own_epochs_correct_the_stores(sweep: Sweep) -> None:
    found = of(sweep, Span(1.0, 1.0))
    reach(sweep.directory / "stages" / "train_dense-a", "train_dense", 1, 5, seconds=6.0)
    found.look(["a", "b"])
    assert found.left(ALL, 1) == Span(39 * 6.0, 39 * 6.0)


def test_tickets_may_be_cheaper_than_dense_networks(sweep: Sweep) -> None:
    paces = {"train_dense w": Span(4.0, 4.0), "train_ticket w": Span(1.0, 1.0)}
    found = Forecast(outstanding(sweep, sweep.plan.jobs), paces)
    assert found.left(ALL, 1) == Span(2 * 10 * 4.0 + 4 * 6.0, 2 * 10 * 4.0 + 4 * 6.0)
    reach(sweep.directory / "stages" / "train_dense-a", "train_dense", 1, 5, seconds=8.0)
    found.look(["a", "b"])  # half as fast as those in the store: so will tickets be
    assert found.left(ALL, 1) == Span(15 * 8.0 + 24 * 2.0, 15 * 8.0 + 24 * 2.0)
    reach(sweep.directory / "0", "train_ticket", 5, 5, seconds=3.0)
    found.look([0])
    assert found.left(ALL, 1) == Span(15 * 8.0 + 23 * 3.0, 15 * 8.0 + 23 * 3.0)


def test_epochs_of_reused_stages_are_no_progress_and_rewound_ones_count_from_their_start(
    sweep: Sweep,
) -> None:
    store(sweep, "train_dense", "a")
    found = Forecast(outstanding(sweep, sweep.plan.jobs[:1]), {})
    reach(sweep.directory / "0", "train_dense", 1, 10)
    found.look([0])
    assert found.epochs([0]) == 6
    reach(sweep.directory / "0", "train_ticket", 5, 7)
    found.look([0])
    assert found.epochs([0]) == 3


def test_what_runs_need_beside_their_epochs_is_learned_but_for_the_first(
    sweep: Sweep, clock: Clock
) -> None:
    found = of(sweep, Span(1.0, 1.0))
    for subject, directory, seconds in (("a", "a", 60.0), ("b", "b", 25.0)):
        found.look([subject])
        clock.now += seconds
        name = f"train_dense-{directory}"
        reach(sweep.directory / "stages" / name, "train_dense", 1, 10, seconds=2.0)
        found.look([subject])
        found.look([])
        beside = 5.0 if subject == "b" else 0.0  # a's took 40, importing what b found imported
        assert found.left([0], 1) == Span(12.0 + beside, 12.0 + beside)


def test_lines_are_few_and_tell_stages_running_jobs_and_the_time_left(
    sweep: Sweep, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shown = Progress(None, None, 4, 0, of(sweep, Span(1.0, 1.0)))
    place = sweep.directory / "stages" / "train_dense-a"
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
def test_damaged_metrics_tell_nothing(sweep: Sweep, damage: bytes) -> None:
    found = of(sweep, Span(1.0, 1.0))
    (sweep.directory / "0").mkdir()
    (sweep.directory / "0" / "metrics.jsonl").write_bytes(damage)
    found.look([0])
    assert found.epochs([0]) == 6
    states = told(sweep, [State(sweep.plan.jobs[0], "running")])
    assert [state.why for state in states] == ["train_dense: epoch 0/10"]
