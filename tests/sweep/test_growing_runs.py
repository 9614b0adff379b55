"""Sweeps that grow as a user runs them: stopped, killed, twice at once; all end as one."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
from processes import Process
from sweep.test_launchers import LOCAL, children, command, wait

from sanity.decide.ahead import BUDGET, MOST
from sanity.report import report
from sanity.sweep import growth
from sanity.sweep import sweep as sweeps
from sanity.sweep.growth import Look

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")
UNTIL = ("verdict.until=decided", "verdict.margin=3", "tracker=none", "threads=1")
TRAINED = ("training.epochs=10", "training.lr=0.2", "pruner=snip")  # better than guessing
GRID = ("-m", *TINY, *TRAINED, *UNTIL, "sanity_check=none,rearrange", "sweep.most_seeds=6")
LOOKS = [4, 6]

pytestmark = pytest.mark.slow


def looks(place: Path) -> tuple[Look, ...]:
    found = [*place.rglob("looks.json")]
    return growth.read(found[0].parent) if found else ()


def under_way(place: Path, look: int) -> bool:
    """Whether a run of the look, from 1, has an epoch behind it and not its record."""
    for path in place.rglob("sweep.json"):
        found = sweeps.read(path.parent)
        numbers = found.looks[look - 1].jobs if len(found.looks) >= look else ()
        for job in found.plan.jobs:
            directory = found.directory_of(job)
            trained = (directory / "metrics.jsonl").exists()
            if job.number in numbers and trained and not (directory / "record.json").exists():
                return True
    return False


def outcome(place: Path) -> list[Any]:
    """Keys and accuracies of all jobs, the looks, and the answers of the report."""
    (path,) = place.rglob("sweep.json")
    found = sweeps.read(path.parent)
    records = [
        json.loads((found.directory_of(job) / "record.json").read_text()) for job in found.plan.jobs
    ]
    answers = [(one.check, one.judgement) for one in report.make([path.parent]).questions]
    stages = [{name: one["key"] for name, one in each["stages"].items()} for each in records]
    shape = [(one.seeds, one.jobs, one.ended) for one in found.looks]
    return [stages, [one["metrics"]["test_accuracy"] for one in records], shape, answers]


def is_gone(pid: int) -> bool:
    """A zombie that nobody buries, as in some containers, has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, store: Path
) -> tuple[list[Any], str, str]:
    """How it ends by Hydra's own launcher, and what it has said."""
    place = tmp_path_factory.mktemp("undisturbed")
    environment = os.environ | {
        "SANITY_STORE_DIR": str(store),
        "SANITY_DATA_DIR": str(tmp_path_factory.getbasetemp() / "data"),
        "WANDB_MODE": "disabled",
    }
    done = processes.run(command(*GRID), place, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return outcome(place), done.stdout, done.stderr


def test_it_says_how_it_goes_on(undisturbed: tuple[list[Any], str, str]) -> None:
    found, output, errors = undisturbed
    assert [seeds for seeds, _, _ in found[2]] == LOOKS
    assert "look at 4 seeds: 8 jobs\n" in errors
    assert "look at 6 seeds: 4 jobs\n" in errors
    assert f"after 6 seeds: {MOST.format(6)}\n" in errors
    assert output.count("0 of 1 question decided, 1 open after 4 seeds; on the way to 6") == 1
    assert "12 jobs:  12 done" in output
    assert "\x1b" not in output + errors


def test_killed_in_every_look_it_ends_as_if_it_had_not_been(
    tmp_path: Path, undisturbed: tuple[list[Any], str, str]
) -> None:
    for look, launcher in (1, ()), (2, LOCAL):
        parent = Process(command(*GRID, *launcher), tmp_path)
        wait(lambda look=look: under_way(tmp_path, look))  # type: ignore[misc]
        workers = children(parent.pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        wait(lambda workers=workers: all(map(is_gone, workers)), 25)  # type: ignore[misc]
        assert len(looks(tmp_path)) in (look, look + 1)  # a kill may come a moment late
    last = processes.run(command(*GRID), tmp_path)
    assert last.returncode == 0, last.stdout + last.stderr
    assert outcome(tmp_path) == undisturbed[0]


@pytest.mark.parametrize("moment", ["within", "between"])
def test_ctrl_c_ends_it_in_a_line_and_its_workers_with_it(
    tmp_path: Path, moment: str, undisturbed: tuple[list[Any], str, str]
) -> None:
    """The terminal tells all processes: those at work, and those that wait for the next look."""
    parent = Process(command(*GRID, *LOCAL), tmp_path)
    if moment == "within":
        wait(lambda: under_way(tmp_path, 2))
    else:  # all of the first look has ended, and the next one is not under way
        wait(lambda: any(one.ended for one in looks(tmp_path)))
    workers = children(parent.pid)
    for pid in (parent.pid, *workers):
        os.kill(pid, signal.SIGINT)
    _, errors = parent.communicate(30)
    assert parent.returncode == 130
    lines = errors.splitlines()
    assert lines[-1] == "run.py: interrupted; the same command goes on where it stopped"
    assert not any("Traceback" in line or "Interrupt" in line for line in lines)
    wait(lambda: all(map(is_gone, workers)), 10)
    assert re.search(r"sweep  \d/\d+ jobs", errors), "a line now and then"
    again = processes.run(command(*GRID), tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert outcome(tmp_path) == undisturbed[0]


def test_two_terminals_run_each_job_once(
    tmp_path: Path, undisturbed: tuple[list[Any], str, str]
) -> None:
    first = Process(command(*GRID, *LOCAL), tmp_path)
    wait(lambda: under_way(tmp_path, 1))
    second = Process(command(*GRID), tmp_path)
    ends = [process.communicate(90) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ends
    assert "is being started by process" in ends[1][1]
    assert outcome(tmp_path) == undisturbed[0]
    for log in tmp_path.rglob("output.log"):
        assert log.read_text().count("record: ") == 1
    for output, _ in ends:
        assert "12 jobs:  12 done" in output


def test_a_budget_ends_it_and_more_of_it_goes_on(tmp_path: Path) -> None:
    done = processes.run(command(*GRID, "sweep.budget=1s"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"after 4 seeds: {BUDGET}\n" in done.stderr
    assert "8 jobs:  8 done" in done.stdout
    (page,) = tmp_path.glob("multirun/*/*/report.html")
    assert 'http-equiv="refresh"' not in page.read_text()
    more = processes.run(command(*GRID), tmp_path)
    assert more.returncode == 0, more.stdout + more.stderr
    assert "12 jobs:  12 done" in more.stdout
    assert [one.seeds for one in looks(tmp_path)] == LOOKS


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    yield ours, theirs
    os.close(ours)


def test_on_a_terminal_a_table_stands_above_the_bar(
    tmp_path: Path, terminal: tuple[int, int], undisturbed: tuple[list[Any], str, str], store: Path
) -> None:
    del undisturbed  # but for the store that it has filled
    ours, theirs = terminal
    run = command(*GRID, *LOCAL, f"hydra.sweep.dir={tmp_path}/here")
    env = os.environ | {"SANITY_STORE_DIR": str(store)}
    with subprocess.Popen(
        run, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=env
    ) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 120
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 1.0)
            try:
                shown += os.read(ours, 65536) if ready else b""
            except OSError:  # nobody has the other end any more
                break
    assert process.returncode == 0, shown
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    lines = text.replace("\r", "\n").splitlines()
    drawn = [line for line in lines if "jobs" not in line or "━" in line]
    assert max(map(len, drawn[: lines.index("")])) <= 80
    assert "━━" in text, text
    above = text[: text.rindex("━━")]
    assert "0 of 1 question decided, 1 open after 4 seeds; on the way to 6, look 2 of 2" in above
    assert "snip 80%" in above
    assert "Traceback" not in text
