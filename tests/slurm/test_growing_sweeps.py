"""Sweeps that grow on a real SLURM: the next look is submitted once, by whoever is there."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import processes
from processes import Process

from sanity.core.config import PROJECT
from sanity.sweep import sweep as sweeps
from slurm.cluster import Cluster

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")
UNTIL = ("verdict.until=decided", "verdict.margin=3", "sweep.most_seeds=6", "tracker=none")
TRAINED = ("training.epochs=10", "training.lr=0.2", "pruner=snip")  # better than guessing
GRID = (*TINY, *TRAINED, *UNTIL, "sanity_check=none,rearrange")
SMALL = ("gpus_per_node=null", "cpus_per_task=1", "mem_gb=1")


def command(*launcher: str) -> list[str]:
    options = [f"hydra.launcher.{text}" for text in (*SMALL, *launcher)]
    run = [sys.executable, str(PROJECT / "run.py"), "-m", *GRID]
    return [*run, "hydra/launcher=slurm", "device=cpu", *options]


def look_after(cwd: Path, *arguments: str) -> Process:
    return Process([sys.executable, "-m", "sanity.sweep", *arguments], cwd)


def sweep(cwd: Path) -> sweeps.Sweep:
    (path,) = cwd.rglob("sweep.json")
    return sweeps.read(path.parent)


def arrays(found: sweeps.Sweep) -> list[set[int]]:
    """The jobs of each array, oldest first."""
    jobs: dict[str, set[int]] = {}
    for one in found.submitted():
        if one.job is not None:
            jobs.setdefault(one.id.split("_")[0], set()).add(one.job)
    return list(jobs.values())


@contextlib.contextmanager
def nothing_starts(slurm: Cluster) -> Iterator[None]:
    slurm.run("scontrol", "update", "nodename=ALL", "state=drain", "reason=test")
    try:
        yield
    finally:
        slurm.run("scontrol", "update", "nodename=ALL", "state=resume")


def wait_for_the_queue(slurm: Cluster) -> None:
    slurm.wait(lambda: not slurm.run("squeue", "-h"), timeout=120)


def assert_two_looks(cwd: Path) -> None:
    found = sweep(cwd)
    assert [(one.seeds, one.ended) for one in found.looks] == [(4, True), (6, True)]
    assert arrays(found) == [set(range(8)), set(range(8, 12))]


def test_a_parent_that_waits_goes_on_from_look_to_look(slurm: Cluster, tmp_path: Path) -> None:
    done = processes.run(command(), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "look at 6 seeds: 4 jobs" in done.stderr
    assert "12 jobs:  12 done" in done.stdout
    assert_two_looks(tmp_path)
    assert all(one.seconds > 0 for one in sweep(tmp_path).looks)


def test_without_a_parent_whoever_looks_submits_the_next_one_once(
    slurm: Cluster, tmp_path: Path
) -> None:
    with nothing_starts(slurm):
        done = processes.run(command("wait=false"), tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        early = look_after(tmp_path, "status")
        assert "8 pending" in early.communicate(60)[0]
        assert len(arrays(sweep(tmp_path))) == 1
    wait_for_the_queue(slurm)
    both = [look_after(tmp_path, "status", "--json") for _ in range(2)]
    for process in both:
        output, errors = process.communicate(60)
        assert process.returncode == 0, errors
        assert {row["state"] for row in json.loads(output)} <= {"done", "pending", "running"}
        assert "Traceback" not in errors
    found = sweep(tmp_path)
    assert arrays(found) == [set(range(8)), set(range(8, 12))]
    assert found.looks[0].seconds > 0, "though nobody has waited"
    wait_for_the_queue(slurm)
    last = look_after(tmp_path, "status")
    output, _ = last.communicate(60)
    assert "12 jobs:  12 done" in output
    assert_two_looks(tmp_path)


def test_a_command_goes_on_where_a_parent_was_killed_between_looks(
    slurm: Cluster, tmp_path: Path
) -> None:
    parent = Process(command(), tmp_path)
    slurm.wait(lambda: list(tmp_path.rglob("submissions.jsonl")), timeout=60)
    slurm.wait(lambda: len(sweep(tmp_path).submitted()) == 8)
    parent.send_signal(signal.SIGKILL)
    parent.wait(30)
    wait_for_the_queue(slurm)
    again = processes.run(command(), tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert_two_looks(tmp_path)


def test_what_is_cancelled_does_not_grow(slurm: Cluster, tmp_path: Path) -> None:
    """Neither by its parent nor by who looks at it; the same command goes on."""
    with nothing_starts(slurm):
        parent = Process(command(), tmp_path)
        slurm.wait(lambda: list(tmp_path.rglob("submissions.jsonl")), timeout=60)
        slurm.wait(lambda: len(sweep(tmp_path).submitted()) == 8)
        cancel = look_after(tmp_path, "cancel")
        cancel.communicate(60)
        assert cancel.returncode == 0
        _, errors = parent.communicate(90)
        assert parent.returncode == 1
        last = errors.splitlines()[-1]
        assert last == "run.py: the sweep was cancelled; the same command goes on with it"
        for _ in range(2):
            process = look_after(tmp_path, "status")
            output, errors = process.communicate(60)
            assert "8 failed" in output
            assert errors == ""
        assert len(arrays(sweep(tmp_path))) == 1
