"""What is said where nobody looks at a terminal: seldom, but the first and the last always."""

import logging

import pytest

from sanity.core import console
from sanity.core.console import bar, duration, span


class Clock:
    """A time that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(console, "time", found)
    return found


def trained(clock: Clock, epochs: int, seconds: float, steps: int = 10, done: int = 0) -> None:
    with bar("train_dense", epochs * steps, done * steps) as shown:
        for epoch in range(done + 1, epochs + 1):
            shown.enter(f"epoch {epoch}/{epochs}")
            for _ in range(steps):
                clock.now += seconds / steps
                shown.advance(64)
            shown.show(f"epoch {epoch}/{epochs}  test 90.00%")


def epochs_said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message.split()[2].split("/")[0] for message in caplog.messages]


def test_a_short_training_says_its_first_and_its_last_epoch(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        trained(clock, epochs=15, seconds=2.0)
    assert caplog.messages == [
        "train_dense    epoch 1/15  test 90.00%  320 images/s  28 seconds left",
        "train_dense    epoch 15/15  test 90.00%  320 images/s",
    ]


def test_of_short_epochs_one_a_minute_is_said(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        trained(clock, epochs=100, seconds=20.0)
    assert epochs_said(caplog) == ["1", *(str(epoch) for epoch in range(4, 101, 3))]


def test_of_long_epochs_each_is_said_and_the_first_before_it_ends(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        trained(clock, epochs=4, seconds=3600.0)
    assert epochs_said(caplog) == ["1", "1", "2", "3", "4"]
    assert caplog.messages[0].startswith("train_dense    epoch 1/4, step 1/40  ")
    assert caplog.messages[0].endswith("3.9 hours left")
    assert caplog.messages[1].endswith("3 hours left")


def test_what_is_left_is_judged_by_what_was_done_here(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        trained(clock, epochs=20, seconds=100.0, done=10)
    assert caplog.messages[1].endswith("15 minutes left")


def test_steps_without_epochs_are_said_every_minute_and_short_ones_never(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for seconds in (0.1, 12.0):
            with bar("flowers train", 20) as shown:
                for _ in range(20):
                    clock.now += seconds
                    shown.advance(1)
    assert [message.split("  ")[1] for message in caplog.messages] == [
        "step 5/20",
        "step 10/20",
        "step 15/20",
        "step 20/20",
    ]


def test_a_long_step_says_how_far_it_is(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), bar("prune", 1) as shown:
        for batch in range(1, 7):
            clock.now += 30.0
            shown.within(f"batch {batch}/6")
    assert caplog.messages == [f"prune          step 0/1, batch {batch}/6" for batch in (2, 4, 6)]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "0.25 seconds"), (59.6, "60 seconds"), (90, "1.5 minutes"), (5400, "1.5 hours")],
)
def test_a_time_as_one_says_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_times_that_are_near_are_one() -> None:
    assert span(480, 1860) == "8 to 31 minutes"
    assert span(480, 500) == "8.3 minutes"
    assert span(30, 7200) == "0.0083 to 2 hours"
