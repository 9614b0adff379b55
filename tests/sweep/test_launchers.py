"""Sweeps as a user starts them on one machine: shared work, failures, stops and second tries."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import processes
import pytest
from filelock import FileLock
from processes import Process
from slow_network import SlowNetwork

from sanity.core.config import PROJECT
from sanity.sweep import local

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")
LOCAL = ("hydra/launcher=local", "hydra.launcher.n_jobs=2")
LONG = (*TINY, "training.epochs=60", "pruner=random")
GREEDY = """
import os
import signal

from sanity.archs.resnet import ResNet


class Greedy(ResNet):
    def forward(self, x):
        if len(x) > 3:  # a plan looks at the network with two or three images
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where memory is short
        return super().forward(x)
"""
FAILING = ("pruner=lt,hybrid,snip", "training.lr=0.05,1e30")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(PROJECT / "run.py"), "device=cpu", *arguments]


def call(cwd: Path, *arguments: str, module: str = "") -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", module, *arguments] if module else command(*arguments)
    cwd.mkdir(exist_ok=True)
    return processes.run(run, cwd)


def records(directory: Path) -> dict[int, dict[str, Any]]:
    """The records of a sweep's jobs by number."""
    paths = directory.glob("multirun/*/*/[0-9]*/record.json")
    return {int(path.parent.name.split("_")[0]): json.loads(path.read_text()) for path in paths}


def wait(found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError("it never happened")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [(), LOCAL], ids=["basic", "local"])
def test_failures_stop_nobody_else_and_a_second_try_runs_them_alone(
    tmp_path: Path, launcher: Sequence[str]
) -> None:
    done = call(tmp_path, "-m", *TINY, *FAILING, *launcher)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("run.py: 3 of 6 jobs are not done")
    assert "3 done" in done.stdout
    assert "3 failed" in done.stdout
    # Jobs that failed for one reason are one row: those of a shared stage here and there.
    rows = {LOCAL: ("2: 1, 3", "5"), (): ("3: 1, 3, 5",)}[tuple(launcher)]
    for row in rows:
        (line,) = [text for text in done.stdout.splitlines() if text.strip().startswith(f"{row} ")]
        assert "training.lr=1e+30" in line
        assert "the loss became nan at epoch 0" in line
        log = Path(tmp_path, line.split()[-1])
        assert "the loss became nan" in log.read_text()
    finished = {number: record for number, record in records(tmp_path).items() if number % 2 == 0}
    assert {record["status"] for record in finished.values()} == {"completed"}
    if launcher == LOCAL:
        assert_dense_networks_were_trained_once_and_dependents_dropped_where_one_failed(
            tmp_path, done
        )
    status = call(tmp_path, "status", module="sanity.sweep")
    assert status.returncode == 1
    assert "3 failed" in status.stdout

    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("record.json")}
    again = call(tmp_path, "-m", *TINY, *FAILING, *launcher)
    assert again.returncode == 1
    assert "going on in" in again.stderr
    assert "3 jobs are done" in again.stderr
    touched = {path for path, when in written.items() if path.stat().st_mtime_ns != when}
    assert {json.loads(path.read_text())["status"] for path in touched} == {"failed"}


def assert_dense_networks_were_trained_once_and_dependents_dropped_where_one_failed(
    tmp_path: Path, done: subprocess.CompletedProcess[str]
) -> None:
    """What ``local`` does, which knows of shared stages."""
    found = records(tmp_path)
    assert set(found) == {0, 2, 4, 5}, "1 and 3 were never run"
    assert found[0]["stages"]["train_dense"]["reused"]
    assert found[2]["stages"]["train_dense"]["reused"]
    stages = [json.loads(path.read_text()) for path in tmp_path.rglob("stages/*/record.json")]
    assert sorted(record["status"] for record in stages) == ["completed", "failed"]
    assert "its train_dense" in done.stdout
    log = tmp_path / next(
        line.split()[-1] for line in done.stdout.splitlines() if "its train_dense" in line
    )
    assert "TrainingError" in log.read_text()


@pytest.mark.slow
def test_ctrl_c_lets_workers_save_and_the_next_try_goes_on(tmp_path: Path) -> None:
    network = SlowNetwork(tmp_path)
    grid = ("-m", *network.arguments, *LONG, "seed=0,1", *LOCAL)
    process = Process(command(*grid), tmp_path)
    wait(lambda: len(list(tmp_path.rglob("metrics.jsonl"))) == 2)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("run.py: interrupted")
    assert "Traceback" not in errors
    wait(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), seconds=10)
    status = call(tmp_path, "status", module="sanity.sweep")
    assert "2 failed" in status.stdout
    assert "interrupted" in status.stdout
    network.hurry()
    again = call(tmp_path, *grid)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(list(tmp_path.rglob("sweep.json"))) == 1
    for log in tmp_path.rglob("output.log"):
        assert "train_ticket goes on at epoch" in log.read_text()


@pytest.mark.slow
def test_a_sweep_goes_on_without_a_worker_that_is_killed(tmp_path: Path) -> None:
    network = SlowNetwork(tmp_path)
    grid = ("-m", *network.arguments, *LONG, "seed=0,1", *LOCAL)
    process = Process(command(*grid), tmp_path)
    wait(lambda: len(list(tmp_path.rglob("metrics.jsonl"))) == 2)
    running = [pid for pid in children(process.pid) if _is_worker(pid)]
    os.kill(running[0], signal.SIGKILL)
    wait(lambda: "a worker was killed" in process.so_far()[1])
    network.hurry()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, output + errors
    assert errors.count("a worker was killed, most likely for want of memory: going on with 1") == 1


@pytest.mark.slow
def test_a_job_that_is_always_killed_is_left_out_and_the_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "mine" / "arch").mkdir(parents=True)
    yaml = "defaults: [resnet8, _self_]\n_target_: greedy.Greedy\n"
    (tmp_path / "mine" / "arch" / "greedy.yaml").write_text(yaml)
    (tmp_path / "mine" / "greedy.py").write_text(GREEDY)
    grid = (f"--config-dir={tmp_path}/mine", "-m", "arch=greedy,resnet8", "seed=0,1", *TINY)
    done = call(tmp_path, *grid, "pruner=random", *LOCAL)
    assert done.returncode == 1
    assert done.stderr.count("was killed twice, most likely for want of memory: left out") == 2
    assert "2 of 4 jobs are not done; the same command goes on with them" in done.stderr
    assert set(records(tmp_path)) == {2, 3}


def _is_worker(pid: int) -> bool:
    return b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.slow
def test_the_same_sweep_in_two_terminals_is_computed_once(tmp_path: Path) -> None:
    network = SlowNetwork(tmp_path)
    grid = ("-m", *network.arguments, *TINY, "pruner=lt,random", "seed=0,1", *LOCAL)
    first = Process(command(*grid, "training.epochs=60"), tmp_path)
    wait(lambda: list(tmp_path.rglob("metrics.jsonl")))
    second = Process(command(*grid, "training.epochs=60"), tmp_path)
    wait(lambda: "is being started by process" in second.so_far()[1])
    network.hurry()
    ends = [process.communicate(timeout=60) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ends
    for output, _ in ends:
        assert "4 done" in output
    assert len(list(tmp_path.rglob("sweep.json"))) == 1
    for log in tmp_path.rglob("output.log"):
        assert log.read_text().count("record: ") == 1


def test_a_plan_starts_nothing_and_says_what_is_left_out(tmp_path: Path) -> None:
    grid = ("pruner=lt,random", "sanity_check=none,random_labels", "seed=0,1")
    done = call(tmp_path, "-m", *TINY, *grid, "sweep.plan=true")
    assert done.returncode == 0, done.stderr
    words = "6 jobs: some of the combinations of 2 pruner, 2 sanity_check, 2 seed"
    assert words in done.stdout
    assert "left out 2: sanity_check=random_labels: pruner=random never sees data" in done.stdout
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert rows["train_dense"] == ["4", "4", "0", "4", "8"]
    assert rows["train_ticket"] == ["6", "6", "0", "6", "12"]
    assert "its time is not known" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_plan_knows_what_is_stored_and_what_the_rest_will_take(tmp_path: Path) -> None:
    assert call(tmp_path, *TINY, "pruner=lt").returncode == 0
    done = call(tmp_path, "-m", *TINY, "pruner=lt,snip", "sweep.plan=true")
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert rows["train_dense"] == ["1", "1", "1", "0", "0"]
    assert rows["train_ticket"] == ["2", "2", "1", "1", "2"]
    # Tickets are all that is left, and one is stored; the dense network tells nothing of them.
    assert "one after another (by 1 like one in the store" in done.stdout


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_a_typed_directory_of_a_job_may_contain_its_number(tmp_path: Path, launcher: str) -> None:
    """What Hydra's own overrides refer to is known in a job alone: as with a plan."""
    grid = (*TINY, "until=prune", "pruner=random", "seed=0,1", f"hydra/launcher={launcher}")
    names = "hydra.sweep.subdir=x_${hydra.job.num}/${seed}_5%"
    done = call(
        tmp_path, "-m", *grid, names, "hydra.job.name=${hydra.job.num}", "hydra.sweep.dir=s"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("record.json")}
    assert found == {"s/x_0/0_5%/record.json", "s/x_1/1_5%/record.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep.plan=true"], "sweep.plan=true: needs a sweep"),
        (["-m", "ratio.sparsity=0.8,1.5"], "ratio.sparsity=1.5: must be in [0, 1)"),
        (["-m", "pruner=lt,snap"], "pruner=snap: no such option; choose from "),
        (["-m", "training.epoch=1,2"], "training.epoch: no such setting (did you mean epochs?)"),
        (["sweep=quickstat"], "sweep=quickstat: no such option; choose from "),
        (["-m", "seed=0,1", "hydra.sweep.subdir=${hydra.job.name}"], "hydra.sweep.subdir="),
        (
            ["-m", "seed=0,1", *LOCAL[:1], "hydra.launcher.n_jobs=0"],
            "hydra.launcher.n_jobs=0: must",
        ),
        (
            ["-m", "pruner=random", "sanity_check=random_labels,invert"],
            "sanity_check=random_labels",
        ),
        (["-m", "store_dir=a,b"], "store_dir: all jobs of a sweep share one"),
        (
            ["-m", "seed=0,1", "hydra.sweep.dir=${hydra.job.num}"],
            "hydra.sweep.dir=${hydra.job.num}:",
        ),
    ],
)
def test_a_mistake_in_any_job_is_one_line_before_anything_starts(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = call(tmp_path, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith(f"run.py: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_the_directory_of_another_sweep_is_refused(tmp_path: Path) -> None:
    place = f"hydra.sweep.dir={tmp_path}/here"
    assert (
        call(tmp_path, "-m", *TINY, "until=prune", "pruner=random", "seed=0", place).returncode == 0
    )
    other = call(tmp_path, "-m", *TINY, "until=prune", "pruner=random", "seed=1", place)
    assert other.returncode == 1
    assert other.stderr == f"run.py: {place}: holds another sweep; choose another\n"


def test_looking_after_sweeps(tmp_path: Path) -> None:
    nothing = call(tmp_path, "status", module="sanity.sweep")
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("sanity.sweep: no sweep used ")
    lost = call(tmp_path, "status", str(tmp_path), module="sanity.sweep")
    assert lost.stderr.endswith("is no sweep's directory (it has no sweep.json)\n")
    call(tmp_path, "-m", *TINY, "until=prune", "pruner=random,synflow", "seed=0,1")
    listed = call(tmp_path, "list", module="sanity.sweep").stdout
    assert "4 jobs" in listed
    assert str(tmp_path) in listed
    rows = json.loads(call(tmp_path, "status", "--json", module="sanity.sweep").stdout)
    assert [row["state"] for row in rows] == ["done"] * 4
    collected = call(tmp_path, "collect", module="sanity.sweep")
    assert collected.returncode == 0
    (table,) = tmp_path.rglob("results.csv")
    assert len(table.read_text().splitlines()) == 5
    table.parent.joinpath("sweep.json").write_text("{")
    damaged = call(tmp_path, "status", str(table.parent), module="sanity.sweep")
    assert "sweep.json: is damaged" in damaged.stderr


def test_a_device_is_held_by_one_job_at_a_time(tmp_path: Path) -> None:
    names = ["cuda:0", "cuda:1"]
    with local.device(tmp_path, names) as first, local.device(tmp_path, names) as second:
        assert [first, second] == names
    with FileLock(tmp_path / "0.lock"), local.device(tmp_path, names) as free:
        assert free == "cuda:1"
    with local.device(tmp_path, []) as none:
        assert none is None


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize(
    ("option", "reason"),
    [("ro", "Read-only file system"), ("size=4k", "No space left on device")],
)
def test_a_machine_without_shared_memory_is_told(tmp_path: Path, option: str, reason: str) -> None:
    run = " ".join(command("-m", *TINY, "pruner=random", "until=prune", "seed=0,1", *LOCAL))
    script = f"mount -t tmpfs -o {option} tmpfs /dev/shm && exec {run}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in done.stderr.split(":")[0]:
        pytest.skip("file systems may not be mounted here")
    assert done.returncode == 1
    assert done.stderr.startswith("run.py: hydra/launcher=local: its workers share a queue in")
    assert f"({reason})" in done.stderr
