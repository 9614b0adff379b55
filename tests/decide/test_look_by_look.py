"""Sweeps that grow, run to their end: undisturbed, stopped anywhere, by two commands at once."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from growing import CHECKED, DECIDED, begun, end, noisy, starting

from sanity.core.errors import SweepError
from sanity.decide import run as decide
from sanity.decide.ahead import BUDGET
from sanity.decide.table import Live, render
from sanity.report import report
from sanity.report.output import files
from sanity.report.report import Report
from sanity.sweep import growth
from sanity.sweep.plan import Job
from sanity.sweep.states import State, look
from sanity.sweep.sweep import Sweep

GRID = (*DECIDED, "pruner=lt", "sanity_check=none,rearrange,reinit")
RELOADS = 'http-equiv="refresh"'


def out(job: Job) -> float:
    """Ends after 19 seeds: reinit depends at once, rearrange takes its time."""
    spread = {"rearrange": 1.1, "reinit": 0.1}.get(job.choices["sanity_check"], 0.2)
    return noisy({"rearrange": 0.1, "reinit": -20.0}, spread)(job) or 0.0


def answers(directory: Path) -> list[Any]:
    """The verdicts of a sweep, and all that they rest on."""
    found = report.make([directory]).questions
    return [(one.check, one.verdict, one.judgement, one.judgement.paired) for one in found]


def shape(sweep: Sweep) -> list[tuple[int, tuple[int, ...], bool]]:
    return [(one.seeds, one.jobs, one.ended) for one in sweep.looks]


@pytest.fixture(autouse=True)
def _without_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But where they are what is tested: to draw them takes longer than all the rest."""
    if "page" not in request.function.__name__:
        monkeypatch.setattr(decide.files, "write", lambda *_, **__: None)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, list[Any]]:
    sweep = begun(tmp_path_factory.mktemp("undisturbed") / "sweep", *GRID)
    ended = decide.run(sweep, starting(out))
    assert ended is not None
    assert len(ended.looks) > 3
    return ended, answers(ended.directory)


def test_it_ends_with_a_verdict_on_each_question(undisturbed: tuple[Sweep, list[Any]]) -> None:
    sweep, found = undisturbed
    assert [str(verdict) for _, verdict, _, _ in found] == ["does not depend", "depends"]
    asked = {job.choices["sanity_check"]: 0 for job in sweep.plan.jobs}
    for job in sweep.plan.jobs:
        asked[job.choices["sanity_check"]] += 1
    assert asked["reinit"] == 4
    assert asked["none"] == asked["rearrange"] == sweep.looks[-1].seeds


class Killed(BaseException):
    """The end of a process."""


def dying(after: int) -> Callable[..., Any]:
    """What starts jobs, of which ``after`` end before the process does."""
    left = [after]

    def start(sweep: Sweep, jobs: Sequence[Job]) -> Callable[[], Sequence[State]]:
        now, left[0] = left[0], left[0] - len(jobs)
        end(sweep, out, jobs[: max(0, now)])
        if left[0] < 0:
            raise Killed
        return lambda: look(sweep)

    return start


@pytest.mark.parametrize("killed", [False, True], ids=["interrupted", "killed"])
@pytest.mark.parametrize("after", [0, 5, 12, 14, 16])
def test_stopped_anywhere_it_ends_as_if_it_had_not_been(
    tmp_path: Path,
    undisturbed: tuple[Sweep, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    killed: bool,
) -> None:
    place = tmp_path / "sweep"
    sweep = begun(place, *GRID)
    with monkeypatch.context() as patch:
        if killed:  # then nobody notes the time
            patch.setattr(Sweep, "spend", lambda self, *_: self)
        with pytest.raises(Killed):
            decide.run(sweep, dying(after))
    before = growth.read(place)
    assert not before[-1].ended
    assert bool(before[-1].seconds) is not killed
    ended = decide.run(begun(place, *GRID), starting(out))
    assert ended is not None
    assert shape(ended) == shape(undisturbed[0])
    assert answers(place) == undisturbed[1]


def test_the_same_command_after_the_end_runs_nothing(undisturbed: tuple[Sweep, list[Any]]) -> None:
    sweep, _ = undisturbed
    asked: list[list[int]] = []
    again = decide.run(begun(sweep.directory, *GRID), starting(out, asked))
    assert again is not None
    assert asked == []
    assert again.looks == growth.read(sweep.directory)


def test_what_fails_is_tried_once_a_command(tmp_path: Path) -> None:
    broken = {1}

    def accuracy(job: Job) -> float | None:
        return None if job.number in broken else out(job)

    asked: list[list[int]] = []
    ended = decide.run(begun(tmp_path / "sweep", *GRID), starting(accuracy, asked))
    assert ended is not None
    assert sum(1 in jobs for jobs in asked) == 1
    assert len(asked) > 1
    assert [one.job.number for one in look(ended) if one.word != "done"] == [1]
    more: list[list[int]] = []
    decide.run(begun(tmp_path / "sweep", *GRID), starting(accuracy, more))
    assert more == [[1]]
    broken.clear()
    more.clear()
    ended = decide.run(begun(tmp_path / "sweep", *GRID), starting(accuracy, more))
    assert more[0] == [1]
    assert ended is not None
    assert all(one.word == "done" for one in look(ended))
    assert all(one.ended for one in ended.looks)


def test_the_clock_of_a_look_is_its_own_whatever_another_command_does_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has asked for the next look while this one waits for the lock."""
    clock = [100.0]
    monkeypatch.setattr(decide.time, "monotonic", lambda: clock[0])
    began = begun(tmp_path / "sweep", *GRID)

    def start(sweep: Sweep, jobs: Sequence[Job]) -> Callable[[], Sequence[State]]:
        clock[0] += 7.0
        end(sweep, out, jobs)

        def wait() -> Sequence[State]:
            if len(sweep.looks) == 1:
                decide.advance(sweep.renewed(), ())
            return look(sweep)

        return wait

    ended = decide.run(began, start)
    assert ended is not None
    assert [one.seconds for one in ended.looks] == pytest.approx([7.0] * len(ended.looks), abs=0.5)
    assert all(one.ended for one in ended.looks)


def test_time_that_nobody_waited_for_counts_too(tmp_path: Path) -> None:
    step = decide.advance(begun(tmp_path / "sweep", *CHECKED, budget=1000.0), ())
    sweep = step.sweep
    end(sweep, noisy({}, 2.0))
    (asked,) = sweep.looks
    for number, job in enumerate(sweep.plan.jobs):
        path = sweep.directory_of(job) / "record.json"
        os.utime(path, (0, asked.asked + 100 * number))
    step = decide.advance(sweep.renewed(), {job.number for job in sweep.plan.jobs})
    assert step.sweep.looks[0].seconds == pytest.approx(700, abs=1)
    assert step.ahead is not None
    assert step.ahead.why == BUDGET


def test_the_page_loads_itself_anew_while_more_is_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, pages = tmp_path / "sweep", []

    def start(sweep: Sweep, jobs: Sequence[Job]) -> Callable[[], Sequence[State]]:
        page = place / "report.html"
        pages.append(RELOADS in page.read_text() if page.exists() else None)
        return starting(out)(sweep, jobs)

    ended = decide.run(begun(place, *GRID), start)
    assert ended is not None
    assert pages == [None] + [True] * (len(ended.looks) - 1)
    files.write(report.make([place]), place)
    assert RELOADS not in (place / "report.html").read_text()


def test_a_page_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, undisturbed: tuple[Sweep, list[Any]]
) -> None:
    place = tmp_path / "sweep"
    place.mkdir()
    (place / "references.bib").write_text("@book{mine}")
    ended = decide.run(begun(place, *GRID), starting(out))
    assert ended is not None
    assert shape(ended) == shape(undisturbed[0])
    assert "references.bib is not a report's and would be replaced" in caplog.text


def failing(_: Sequence[Path]) -> Report:
    raise SweepError("damaged")


def test_a_table_is_shown_whatever_its_files_have_come_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = decide.advance(begun(tmp_path / "sweep", *GRID), ())
    live = Live(step.sweep)
    assert str(live()) == ""  # nothing has ended
    monkeypatch.setattr("sanity.decide.table.PAUSE", 0.0)
    monkeypatch.setattr("sanity.decide.table.SHARE", 0)
    live = Live(step.sweep)
    end(step.sweep, out, step.sweep.plan.jobs[:6])
    with monkeypatch.context() as patch:
        patch.setattr(report, "make", failing)
        live()
    end(step.sweep, out)
    assert "0 of 2 questions decided, 2 open; on the way to 4, look 1 of 6" in said(live())
    odd = dataclasses.replace(step.sweep.looks[0], seeds=40)  # more than are planned
    found = report.make([step.sweep.directory])
    assert "look 7 of 6" in said(render(dataclasses.replace(step.sweep, looks=(odd,)), found))


def said(shown: Any) -> str:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()
