"""Sweeps on a real SLURM: shared stages once, failures seen, nothing lost on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import processes
import pytest
from processes import Process
from safetensors.torch import load_file
from slow_network import SlowNetwork

from sanity.core.config import PROJECT
from sanity.sweep import sweep as sweeps
from slurm.cluster import Cluster, started

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")
SMALL = {"gpus_per_node": "null", "cpus_per_task": "1", "mem_gb": "1"}
STARTED = "Starting with JobEnvironment"
EPOCHS = 400  # 100 s on a slow network: longer than the limit that is to break it off
LONG = (*TINY, f"training.epochs={EPOCHS}", "checkpoint_every=0.3", "threads=1", "pruner=random")


def command(*arguments: str, **launcher: object) -> list[str]:
    options = [f"hydra.launcher.{name}={value}" for name, value in (SMALL | launcher).items()]
    run = [sys.executable, str(PROJECT / "run.py"), "-m"]
    # Options stand before or after overrides, never among them.
    return [*run, *arguments, "hydra/launcher=slurm", "device=cpu", *options]


def submit_sweep(
    cwd: Path, *arguments: str, **launcher: object
) -> subprocess.CompletedProcess[str]:
    return processes.run(command(*arguments, **launcher), cwd)


def look_after(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return processes.run([sys.executable, "-m", "sanity.sweep", *arguments], cwd)


def states(cwd: Path) -> dict[int, dict[str, Any]]:
    """What ``status --json`` says of the latest sweep's jobs, by number."""
    return {row["job"]: row for row in json.loads(look_after(cwd, "status", "--json").stdout)}


def sweep(cwd: Path) -> sweeps.Sweep:
    (path,) = cwd.rglob("sweep.json")
    return sweeps.read(path.parent)


def records(cwd: Path) -> list[dict[str, Any]]:
    return [
        json.loads(path.read_text()) for path in sorted(cwd.glob("multirun/*/*/[0-9]*/record.json"))
    ]


def stage_records(cwd: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in cwd.rglob("stages/*/record.json")]


def test_dense_networks_are_trained_once_and_a_rerun_submits_nothing(
    slurm: Cluster, tmp_path: Path
) -> None:
    grid = (*TINY, "pruner=lt,hybrid,snip", "seed=0,1")
    done = submit_sweep(tmp_path, *grid)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 done" in done.stdout
    found = records(tmp_path)
    assert [record["status"] for record in found] == ["completed"] * 6
    dense = [
        record["stages"]["train_dense"] for record in found if "train_dense" in record["stages"]
    ]
    assert len(dense) == 4
    assert all(stage["reused"] for stage in dense), "jobs train no dense network"
    computed = [record["stages"]["train_dense"]["reused"] for record in stage_records(tmp_path)]
    assert computed == [False, False], "one job a seed did"
    submitted = sweep(tmp_path).submitted()
    assert len(submitted) == 8
    names = {slurm.job(one.id)["JobName"] for one in submitted if one.stage}
    assert names == {f"train_dense-{stage['key']}" for stage in dense}

    again = submit_sweep(tmp_path, *grid)
    assert again.returncode == 0
    assert "6 done" in again.stdout
    assert sweep(tmp_path).submitted() == submitted
    elsewhere = submit_sweep(tmp_path, *grid, f"hydra.sweep.dir={tmp_path}/other")
    assert elsewhere.returncode == 0, elsewhere.stdout + elsewhere.stderr
    assert sweeps.read(tmp_path / "other").submitted() == [], "all of it is in the store"
    assert len(list((tmp_path / "other").glob("*/record.json"))) == 6


def test_failures_are_failed_for_slurm_and_reported_one_by_one(
    slurm: Cluster, tmp_path: Path
) -> None:
    done = submit_sweep(tmp_path, *TINY, "pruner=lt,hybrid,snip", "training.lr=0.05,1e30")
    assert done.returncode == 1
    assert "3 of 6 jobs are not done" in done.stderr
    found = states(tmp_path)
    failed = {number for number, row in found.items() if row["state"] == "failed"}
    assert failed == {1, 3, 5}, "only the dependents of what failed"
    ids = sweep(tmp_path).latest()
    ends = {number: slurm.states(ids[number])[ids[number]] for number in failed}
    assert ends == {1: "CANCELLED", 3: "CANCELLED", 5: "FAILED"}
    assert "its train_dense" in found[1]["why"]
    for number in failed:
        assert "the loss became" in found[number]["why"]
        assert found[number]["why"] in done.stdout
        log = Path(found[number]["log"]).read_text()
        assert "Traceback" in log
        assert "TrainingError: the loss became" in log


@pytest.mark.slow
def test_a_job_that_is_stopped_in_mid_training_ends_as_if_it_had_not_been(
    slurm: Cluster, tmp_path: Path
) -> None:
    """One is requeued by hand, one is preempted by a job of another partition."""
    network = SlowNetwork(tmp_path)
    grid = (*network.arguments, *LONG, "seed=0,1")
    process = Process(command(*grid, cpus_per_task=4), tmp_path)
    metrics = [_metrics(slurm, tmp_path, seed) for seed in (0, 1)]
    slurm.wait(lambda: all(_epochs(path) > 5 for path in metrics), timeout=120)
    ids = sweep(tmp_path).latest()
    node = slurm.queue()[ids[1]].node
    slurm.requeue(ids[0])
    slurm.submit("sleep 1", "--partition=high", "--exclusive", f"--nodelist={node}")
    logs = [sweep(tmp_path).cluster_directory / f"{ids[job]}_0_log.out" for job in (0, 1)]
    # Not when SLURM says that it is restarted: the process goes on until SLURM kills it.
    slurm.wait(lambda: all(log.read_text().count(STARTED) == 2 for log in logs))
    network.hurry()
    assert process.wait(timeout=240) == 0
    for row in states(tmp_path).values():
        log = Path(row["log"]).read_text()
        assert log.count(STARTED) == 2
        assert "train_ticket goes on at epoch" in log

    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    environment = os.environ | {"SANITY_STORE_DIR": str(undisturbed / "store")}
    run = [sys.executable, str(PROJECT / "run.py"), "-m", *grid, "hydra/launcher=local"]
    assert processes.run(run, undisturbed, environment).returncode == 0
    for ours, theirs in zip(records(tmp_path), records(undisturbed), strict=True):
        assert ours["metrics"] == theirs["metrics"]
        key = ours["stages"]["train_ticket"]["key"]
        name = f"train_ticket/{key}/final.safetensors"
        weights = load_file(Path(os.environ["SANITY_STORE_DIR"]) / name)
        for parameter, value in load_file(undisturbed / "store" / name).items():
            assert weights[parameter].equal(value)
    for path in metrics:
        epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
        assert epochs == list(range(EPOCHS))


@pytest.mark.slow
def test_a_cancelled_job_goes_on_when_the_sweep_is_started_again(
    slurm: Cluster, tmp_path: Path
) -> None:
    network = SlowNetwork(tmp_path)
    grid = (*network.arguments, *LONG, "seed=0,1")
    process = Process(command(*grid, cpus_per_task=4), tmp_path)
    path = _metrics(slurm, tmp_path, seed=1)
    slurm.wait(lambda: _epochs(path) > 5, timeout=120)
    cancelled = sweep(tmp_path).latest()[1]
    slurm.cancel(cancelled)
    slurm.wait(lambda: slurm.states(cancelled)[cancelled] == "CANCELLED")
    network.hurry()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cancelled before it had ended" in output
    assert [row["state"] for row in states(tmp_path).values()] == ["done", "failed"]
    again = submit_sweep(tmp_path, *grid)
    assert again.returncode == 0, again.stdout + again.stderr
    found = sweep(tmp_path)
    assert [one.job for one in found.submitted()] == [0, 1, 1], "only the cancelled one"
    log = found.cluster_directory / f"{found.latest()[1]}_0_log.out"
    assert "train_ticket goes on at epoch" in log.read_text()


@pytest.mark.slow
def test_a_job_that_reaches_its_time_limit_goes_on_after_it(slurm: Cluster, tmp_path: Path) -> None:
    """SLURM signals it before the limit; it saves, queues itself again and counts the time-out."""
    network = SlowNetwork(tmp_path)
    # SLURM looks every 30 s only, and so signals up to that much earlier than it is asked to:
    # with 10 s before the limit the training has begun by then.
    limits = {"timeout_min": 1, "signal_delay_s": 10, "max_num_timeout": 9, "cpus_per_task": 4}
    process = Process(command(*network.arguments, *LONG, "seed=0", **limits), tmp_path)
    log = slurm.wait(lambda: list(tmp_path.rglob("slurm/*_log.out")), timeout=120)[0]
    slurm.wait(lambda: log.read_text().count(STARTED) == 2, timeout=180)
    network.hurry()
    assert process.wait(timeout=240) == 0
    said = log.read_text()
    assert "(8 remaining timeouts)" in said
    assert "train_ticket goes on at epoch" in said
    assert records(tmp_path)[0]["status"] == "completed"


def _metrics(slurm: Cluster, cwd: Path, seed: int) -> Path:
    paths = slurm.wait(lambda: list(cwd.glob(f"multirun/*/*/*_s{seed}/metrics.jsonl")), timeout=60)
    return paths[0]


def _epochs(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.slow
def test_a_killed_parent_loses_nothing(slurm: Cluster, tmp_path: Path) -> None:
    grid = (*TINY, "training.epochs=200", "pruner=lt,random")
    parent = Process(command(*grid), tmp_path)
    slurm.wait(lambda: list(tmp_path.glob("multirun/*/*/slurm/submissions.jsonl")), timeout=60)
    slurm.wait(lambda: len(sweep(tmp_path).submitted()) == 3)
    slurm.wait(lambda: slurm.run("squeue", "-h", "-t", "R"))
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=60)
    under_way = states(tmp_path)
    assert {row["state"] for row in under_way.values()} <= {"pending", "running"}
    # Of the stage, at whatever moment this was: it has started, or has not.
    expected = ("for the stages that it goes on from", "which is running")
    assert under_way[0]["why"].endswith(expected)
    submitted = sweep(tmp_path).submitted()
    again = submit_sweep(tmp_path, *grid)
    assert again.returncode == 0, again.stdout + again.stderr
    assert sweep(tmp_path).submitted() == submitted, "what was under way is waited for"
    collected = look_after(tmp_path, "collect")
    assert "2 done" in collected.stdout
    assert len((sweep(tmp_path).directory / "results.csv").read_text().splitlines()) == 3


@pytest.mark.slow
def test_two_sweeps_at_once_share_a_dense_network(slurm: Cluster, tmp_path: Path) -> None:
    grids = {"one": "pruner=lt", "two": "pruner=hybrid"}
    sweeps = []
    for name, pruner in grids.items():
        (tmp_path / name).mkdir()
        grid = (*TINY, "training.epochs=8", pruner, "seed=3,4")
        sweeps.append(Process(command(*grid), tmp_path / name))
    assert [process.wait(timeout=240) for process in sweeps] == [0, 0]
    dense = [record["stages"]["train_dense"] for record in stage_records(tmp_path)]
    keys = {stage["key"] for stage in dense}
    assert len(keys) == 2
    assert sum(not stage["reused"] for stage in dense) == 2, "each was trained once"


def test_wait_false_returns_at_once_and_width_holds_for_stages_and_jobs(
    slurm: Cluster, tmp_path: Path
) -> None:
    done = submit_sweep(
        tmp_path, *TINY, "pruner=lt,random", "seed=0,1,2", wait="false", array_parallelism=2
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "python -m sanity.sweep status" in done.stderr
    assert slurm.run("squeue", "-h"), "nobody waited"
    most = 0
    while entries := slurm.run("squeue", "-h", "-r", "-o", "%T").splitlines():
        most = max(most, sum(state in ("RUNNING", "COMPLETING") for state in entries))
        time.sleep(0.2)
    assert most == 2
    assert "6 done" in look_after(tmp_path, "status").stdout


def test_jobs_get_gpus_of_their_own_and_what_setup_says(slurm: Cluster, tmp_path: Path) -> None:
    line = f"echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES $COLOUR >> {tmp_path}/seen; sleep 2"
    setup = f"['export COLOUR=green','{line}']"
    done = submit_sweep(
        tmp_path,
        *TINY,
        "until=prune",
        "pruner=random",
        "seed=range(4)",
        gpus_per_node=1,
        setup=setup,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = (tmp_path / "seen").read_text().splitlines()
    assert sorted(seen) == ["n1 0 green", "n1 1 green", "n2 0 green", "n2 1 green"]


def test_own_code_is_the_one_of_submission(
    slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edited between submission and start: jobs run what they were submitted with.

    Be it a module, what it imports from elsewhere, or a YAML file.
    """
    (tmp_path / "mine" / "pruner").mkdir(parents=True)
    (tmp_path / "lib").mkdir()
    module, helper = tmp_path / "mine" / "my_pruner.py", tmp_path / "lib" / "elsewhere.py"
    yaml = tmp_path / "mine" / "pruner" / "mine.yaml"
    helper.write_text("class Base:\n    pass\n")
    module.write_text(
        "from elsewhere import Base\nfrom sanity.pruners.magnitude import Magnitude\n\n\n"
        "class Mine(Magnitude, Base):\n    pass\n"
    )
    yaml.write_text("_target_: my_pruner.Mine\n")
    monkeypatch.setenv("PYTHONPATH", str(helper.parent), prepend=os.pathsep)
    options = ("pruner=mine", "seed=0,1", "until=prune")
    later = "{begin: now+4}"
    own = f"--config-dir={tmp_path}/mine"
    submitted = submit_sweep(
        tmp_path, own, *TINY, *options, wait="false", additional_parameters=later
    )
    assert submitted.returncode == 0, submitted.stderr
    for file in (module, helper):
        file.write_text("raise RuntimeError('half edited')\n")
    yaml.write_text("_target_: nowhere.Mine\n")
    slurm.wait(lambda: not slurm.run("squeue", "-h"), timeout=60)
    assert "2 done" in look_after(tmp_path, "status").stdout


def test_the_clusters_limits_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of at most MaxArraySize, and no more jobs in the queue than are accepted."""
    with started(max_array=3) as small:
        for name, text in small.environment().items():
            monkeypatch.setenv(name, text)
        grid = (*TINY, "until=prune", "pruner=random", "seed=range(5)")
        done = submit_sweep(tmp_path, *grid, max_submit=4)
        assert done.returncode == 0, done.stdout + done.stderr
        ids = list(sweep(tmp_path).latest().values())
        sizes = [
            sum(one.split("_")[0] == array for one in ids)
            for array in {one.split("_")[0] for one in ids}
        ]
        assert sum(sizes) == 5
        assert max(sizes) <= 3
        starts = [small.job(one)["SubmitTime"] for one in ids]
        assert len(set(starts)) > 1, "the fifth was submitted when there was room"


@pytest.mark.slow
def test_short_jobs_cost_little_more_than_their_runs(slurm: Cluster, tmp_path: Path) -> None:
    """What a job costs beside its work: reported with -s, bounded here."""
    jobs = 16  # two for each CPU of the cluster
    grid = (*TINY, "until=prune", "pruner=random", f"seed=range({jobs})")
    alone = [sys.executable, str(PROJECT / "run.py"), *TINY, "until=prune", "pruner=random"]
    start = time.perf_counter()
    subprocess.run([*alone, "seed=1000"], cwd=tmp_path, check=True, capture_output=True)
    one = time.perf_counter() - start
    start = time.perf_counter()
    done = submit_sweep(tmp_path, *grid)
    assert done.returncode == 0, done.stderr
    each = (time.perf_counter() - start) / jobs
    cores = len(os.sched_getaffinity(0))
    print(f"{jobs} jobs: {each:.2f} s each, run.py alone {one:.2f} s, {cores} cores")
    assert f"{jobs} done" in done.stdout
    # Eight jobs share the machine's cores; a job costs little more than its run.
    assert each < 3 * one * max(1, 8 / cores) / 8 + 1
