"""Signals wait for the end of a step and a checkpoint, then do what they always did."""

import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Compose, Run
from processes import Process
from resuming import assert_same, disturb, metrics, results
from slow_network import SlowNetwork

from sanity import pipeline
from sanity.core.config import PROJECT
from sanity.core.signals import HELD, Terminated, hold
from sanity.training import evaluation

SLOW = (*TINY, "pruner=lt", "training.epochs=24", "threads=1")
LONG = (*SLOW, "dataset.limit=1000", "training.epochs=4000")
KILLING = ["SIGTERM", "SIGHUP", "SIGUSR2"]
NAMES = ["SIGINT", *KILLING]


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HELD}
    yield
    after = {number: signal.getsignal(number) for number in HELD}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


@pytest.fixture
def handle() -> Iterator[Callable[[str, Any], None]]:
    """Install handlers for the length of a test."""
    before: dict[int, Any] = {}

    def install(name: str, handler: Any) -> None:
        number = getattr(signal, name)
        before[number] = signal.signal(number, handler)

    yield install
    for number, handler in before.items():
        signal.signal(number, handler)


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_waits_and_then_does_what_it_did_before(
    name: str, handle: Callable[[str, Any], None]
) -> None:
    came: list[int] = []
    handle(name, lambda signum, frame: came.append(signum))
    with hold() as held:
        send(name)
        assert came == []
        assert held.pending == [getattr(signal, name)]
        held.deliver()
        assert came == [getattr(signal, name)]
        assert held.pending == []
        send(name)
    assert came == [getattr(signal, name)] * 2  # the last one at the end of the block


@pytest.mark.parametrize("name", NAMES)
def test_what_ends_a_program_by_default_ends_it_after_the_step(
    name: str, handle: Callable[[str, Any], None]
) -> None:
    error = KeyboardInterrupt if name == "SIGINT" else Terminated
    handle(name, signal.SIG_DFL)
    steps: list[str] = []

    def train() -> None:
        with hold() as held:
            send(name)
            steps.append("the signal came during this one")
            held.deliver()
            steps.append("one too many")

    with pytest.raises(error):
        train()
    assert len(steps) == 1


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR2"])
def test_what_is_said_twice_is_not_meant_twice(
    name: str, handle: Callable[[str, Any], None]
) -> None:
    """A closed terminal is told of by the shell and by the system."""
    handle(name, signal.SIG_DFL)
    steps: list[str] = []

    def train() -> None:
        with hold() as held:
            send(name)
            send(name)
            steps.append("the checkpoint is saved here")
            held.deliver()

    with pytest.raises(Terminated, match=f"stopped by {name}"):
        train()
    assert len(steps) == 1


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT")])
def test_who_asks_twice_does_not_wait(
    first: str, second: str, handle: Callable[[str, Any], None]
) -> None:
    handle(first, signal.default_int_handler)

    steps: list[str] = []

    def train() -> None:
        with hold():
            send(first)
            steps.append("the first signal came during this one")
            send(second)
            steps.append("one too many")

    with pytest.raises(KeyboardInterrupt):
        train()
    assert len(steps) == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_signal_stays_ignored(name: str, handle: Callable[[str, Any], None]) -> None:
    handle(name, signal.SIG_IGN)
    with hold() as held:
        send(name)
        assert not held.pending
        assert signal.getsignal(getattr(signal, name)) == signal.SIG_IGN


def test_an_error_meanwhile_does_not_lose_the_signal(handle: Callable[[str, Any], None]) -> None:
    handle("SIGTERM", signal.SIG_DFL)

    def fail(error: type[BaseException]) -> None:
        with hold():
            send("SIGTERM")
            raise error

    with pytest.raises(Terminated):
        fail(ValueError)
    with pytest.raises(SystemExit):  # it ends already
        fail(SystemExit)


def test_how_a_worker_was_stopped_is_told_to_its_parent() -> None:
    """A worker of a pool sends its errors as pickles."""
    told = pickle.loads(pickle.dumps(Terminated(signal.SIGTERM)))
    assert isinstance(told, Terminated)
    assert (str(told), told.signum) == ("stopped by SIGTERM", signal.SIGTERM)


def test_elsewhere_than_in_the_main_thread_nothing_is_held() -> None:
    found: list[Any] = []

    def work() -> None:
        with hold() as held:
            found.extend([held.pending, signal.getsignal(signal.SIGINT)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[], signal.getsignal(signal.SIGINT)]


def checkpoints(store: Path) -> list[Path]:
    return sorted((store / ".work").glob("train_dense-*/checkpoints/*.json"))


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("SIGINT", KeyboardInterrupt, "interrupted"),
        ("SIGTERM", Terminated, "stopped by SIGTERM"),
        ("SIGHUP", Terminated, "stopped by SIGHUP"),
        ("SIGUSR2", SystemExit, "interrupted"),
    ],
)
def test_the_last_step_before_a_signal_is_not_lost(
    configure: Compose,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    handle: Callable[[str, Any], None],
    name: str,
    error: type[BaseException],
    reason: str,
) -> None:
    """SIGUSR2 as submitit handles it: the job is requeued, and the process exits."""
    store = Path(os.environ["SANITY_STORE_DIR"])
    seen: list[int] = []

    def requeue(signum: int, frame: Any) -> None:
        seen.append(len(checkpoints(store)))
        raise SystemExit(255)

    handle(name, requeue if name == "SIGUSR2" else signal.SIG_DFL)
    if name == "SIGINT":
        signal.signal(signal.SIGINT, signal.default_int_handler)
    never = "checkpoint_every=null"
    disturb(monkeypatch, 5, lambda: send(name))
    with pytest.raises(error):
        run("pruner=lt", never)
    assert seen == ([1] if name == "SIGUSR2" else [])
    (checkpoint,) = checkpoints(store)
    facts = json.loads(checkpoint.read_text())["facts"]
    assert (facts["epoch"], facts["step"]) == (1, 2)
    record = json.loads((tmp_path / "run0" / "record.json").read_text())
    assert (record["status"], record["reason"]) == ("failed", reason)
    disturb(monkeypatch, -1)
    broken = run("pruner=lt", never)
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "another_store"))
    assert_same(results(broken), results(run("pruner=lt", never)))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_a_handler_that_returns_lets_the_training_go_on(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    handle: Callable[[str, Any], None],
    name: str,
) -> None:
    """SIGTERM in a SLURM job under submitit: who exits now is not requeued."""
    store, seen = Path(os.environ["SANITY_STORE_DIR"]), []
    handle(name, lambda signum, frame: seen.append(len(checkpoints(store))))
    disturb(monkeypatch, 5, lambda: send(name))
    first = run("pruner=lt", "checkpoint_every=null")
    assert seen == [1]
    disturb(monkeypatch, -1)
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "another_store"))
    second = run("pruner=lt")
    assert_same(results(first), results(second))
    assert metrics(first["directory"]) == metrics(second["directory"])


def test_a_signal_while_the_network_is_judged_waits_for_a_batch_only(
    configure: Compose,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    handle: Callable[[str, Any], None],
) -> None:
    """On a CPU an evaluation may last a minute, more than SLURM waits before it kills."""
    handle("SIGTERM", signal.SIG_DFL)
    monkeypatch.setattr(evaluation, "BATCHES", {"cpu": 10})
    original, batches = evaluation.Images.in_order, []

    def in_order(self: Any, size: int) -> Iterator[Any]:
        for batch in original(self, size):
            batches.append(1)
            if len(batches) == 5:
                send("SIGTERM")
            yield batch

    monkeypatch.setattr(evaluation.Images, "in_order", in_order)
    with pytest.raises(Terminated):
        pipeline.run(configure(*TINY, "pruner=lt"), tmp_path)
    assert len(batches) == 5
    (checkpoint,) = checkpoints(Path(os.environ["SANITY_STORE_DIR"]))
    facts = json.loads(checkpoint.read_text())["facts"]
    assert (facts["epoch"], facts["step"]) == (0, 3)  # all steps of the epoch


def start(cwd: Path, *arguments: str) -> Process:
    return Process([sys.executable, "-W", "error", str(PROJECT / "run.py"), *arguments], cwd)


def wait_for(what: Callable[[], object], process: Process) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert process.poll() is None, process.communicate(0)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def record_of(cwd: Path) -> dict[str, Any]:
    (path,) = cwd.rglob("record.json")
    return json.loads(path.read_text()) | {"directory": path.parent}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGKILL", *KILLING])
def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    network = SlowNetwork(tmp_path)
    arguments = (*network.arguments, *SLOW, "hydra.run.dir=here", "checkpoint_every=0.2")
    store = Path(os.environ["SANITY_STORE_DIR"])
    broken.mkdir()
    process = start(broken, *arguments)
    wait_for(lambda: len(checkpoints(store)) == 2, process)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    if name != "SIGKILL":
        assert process.returncode == 128 + getattr(signal, name)
        message = f"run.py: stopped by {name}; the same command goes on where it stopped"
        told = [line for line in errors.splitlines() if not line.startswith("packing ")]
        assert told[-1:] == [message]
        assert record_of(broken)["reason"] == f"stopped by {name}"
    assert checkpoints(store)
    network.hurry()

    process = start(broken, *arguments)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert errors.count("train_dense goes on at epoch ") == 1

    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "another_store"))
    whole.mkdir()
    process = start(whole, *arguments)
    assert process.wait(timeout=300) == 0
    first, second = record_of(broken), record_of(whole)
    assert_same(results(first), results(second))
    assert metrics(first["directory"]) == metrics(second["directory"])


@pytest.mark.slow
def test_ctrl_c_twice_ends_a_run_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, *LONG, "checkpoint_every=null")
    wait_for(lambda: list(tmp_path.rglob("metrics.jsonl")), process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert process.returncode == 130
    told = [line for line in errors.splitlines() if not line.startswith("packing ")]
    assert told[-1:] == ["run.py: interrupted; the same command goes on where it stopped"]
