"""The cluster that the tests start is a real one, and what the launcher builds on holds there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slurm.cluster import PORT_TAKEN, Cluster, lab, missing, started

WAITING = {"0", "1", "2", "4"}
FREE = {"3", "5", "6", "7", "8", "9"}


def until(path: Path) -> str:
    """A line of bash that ends when a file appears."""
    return f"while [ ! -e {path} ]; do sleep 0.1; done"


def submit_split(slurm: Cluster, before: str, script: str, *options: str) -> str:
    """Ten tasks, three at a time, of which 0, 1, 2 and 4 wait for another job."""
    array = slurm.submit(script, "--hold", "--array=0-9%3", *options)
    slurm.update(f"{array}_[0-2,4]", Dependency=f"afterok:{before}")
    slurm.release(array)
    return array


def tasks(slurm: Cluster, array: str, state: str, reason: str = "") -> set[str]:
    """The tasks of an array that are in a state, for a reason."""
    return {
        name.split("_")[1]
        for name, entry in slurm.queue(array).items()
        if entry.state == state and reason in entry.reason
    }


def ended(slurm: Cluster, job: str) -> set[str]:
    """The states of a job's tasks once all have ended."""
    active = {"PENDING", "RUNNING", "COMPLETING"}
    slurm.wait(lambda: not active & set(slurm.states(job).values()))
    return set(slurm.states(job).values())


def test_both_nodes_are_idle_and_plain_commands_reach_them(slurm: Cluster) -> None:
    command = ("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T")
    assert subprocess.check_output(command, text=True) == "n1 idle\nn2 idle\n"
    assert subprocess.check_output(["squeue", "-h", "--me"], text=True) == ""


def test_concurrent_jobs_get_gpus_of_their_own(slurm: Cluster, tmp_path: Path) -> None:
    script = f"touch {tmp_path}/$SLURMD_NODENAME.$CUDA_VISIBLE_DEVICES\n{until(tmp_path / 'go')}"
    jobs = [slurm.submit(script, "--gpus-per-node=1") for _ in range(5)]
    slurm.wait(lambda: len(list(tmp_path.iterdir())) == 4)
    assert {path.name for path in tmp_path.iterdir()} == {"n1.0", "n1.1", "n2.0", "n2.1"}
    assert sorted(slurm.states(job)[job] for job in jobs) == ["PENDING", *["RUNNING"] * 4]
    (tmp_path / "go").touch()
    assert [ended(slurm, job) for job in jobs] == [{"COMPLETED"}] * 5


def test_tasks_that_wait_count_for_their_arrays_throttle(slurm: Cluster, tmp_path: Path) -> None:
    stage = slurm.submit(until(tmp_path / "stage"))
    array = submit_split(slurm, stage, until(tmp_path / "go"))
    slurm.wait(lambda: tasks(slurm, array, "RUNNING") == {"3", "5", "6"})
    assert slurm.queue(array)[f"{array}_4"].dependency == f"afterok:{stage}(unfulfilled)"
    (tmp_path / "stage").touch()
    # Five CPUs are idle and nothing is waited for any more: only the throttle holds them back.
    slurm.wait(lambda: tasks(slurm, array, "PENDING", "JobArrayTaskLimit") >= WAITING)
    assert tasks(slurm, array, "RUNNING") == {"3", "5", "6"}
    slurm.update(array, ArrayTaskThrottle="5")
    slurm.wait(lambda: len(tasks(slurm, array, "RUNNING")) == 5)
    assert slurm.job(f"{array}_4")["ArrayTaskThrottle"] == "5"
    (tmp_path / "go").touch()
    assert ended(slurm, array) == {"COMPLETED"}


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
def test_tasks_are_cancelled_with_what_they_wait_for(slurm: Cluster, end: str) -> None:
    """By a flag of the array; the cluster's DependencyParameters are left alone."""
    stage = slurm.submit("exit 1", "--hold")
    array = submit_split(slurm, stage, "true", "--kill-on-invalid-dep=yes")
    unflagged = submit_split(slurm, stage, "true")
    if end == "fails":
        slurm.release(stage)
        assert ended(slurm, stage) == {"FAILED"}
    else:
        slurm.cancel(stage)
    assert ended(slurm, array) == {"CANCELLED", "COMPLETED"}
    assert tasks(slurm, array, "CANCELLED", "DependencyNeverSatisfied") == WAITING
    assert tasks(slurm, array, "COMPLETED") == FREE
    slurm.wait(lambda: tasks(slurm, unflagged, "COMPLETED") == FREE)
    assert tasks(slurm, unflagged, "PENDING", "DependencyNeverSatisfied") == WAITING


@pytest.mark.slow
def test_a_requeued_job_starts_again(slurm: Cluster, tmp_path: Path) -> None:
    job = slurm.submit(f"touch {tmp_path}/${{SLURM_RESTART_COUNT:-0}}\n{until(tmp_path / 'go')}")
    slurm.wait((tmp_path / "0").exists)
    slurm.requeue(job)
    slurm.wait((tmp_path / "1").exists)
    assert slurm.job(job)["Restarts"] == "1"
    (tmp_path / "go").touch()
    assert ended(slurm, job) == {"COMPLETED"}


def test_a_stand_in_for_sacct_knows_ended_jobs(slurm: Cluster) -> None:
    good, bad = slurm.submit("true", "--array=0-1"), slurm.submit("false")
    assert (ended(slurm, good), ended(slurm, bad)) == ({"COMPLETED"}, {"FAILED"})
    rows = slurm.run("sacct", "-n", "-P", "-X", "-o", "JobID,State", "-j", f"{good},999999,{bad}")
    assert sorted(rows.splitlines()) == sorted(
        [f"{good}_0|COMPLETED", f"{good}_1|COMPLETED", f"{bad}|FAILED"]
    )
    submitit = ("sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", bad)
    assert slurm.run(*submitit).splitlines()[0] == "JobID|State|NodeList"
    with pytest.raises(AssertionError, match="knows no field 'Elapsed'"):
        slurm.run("sacct", "-o", "Elapsed", "-j", bad)


def test_an_array_beyond_the_limit_is_refused(slurm: Cluster) -> None:
    with pytest.raises(AssertionError, match="Invalid job array specification"):
        slurm.submit("true", "--hold", "--array=0-10001")


def test_what_to_install_is_named() -> None:
    assert missing() is None
    reason = str(missing("/nowhere"))
    assert reason.startswith("no sbatch, squeue, scontrol")
    assert reason.endswith(": apt-get install slurm-wlm munge")


def test_wrong_settings_are_named_in_a_line(slurm: Cluster, tmp_path: Path) -> None:
    done = lab("slurm-up", tmp_path / "new", nodes="two")
    assert (done.returncode, done.stderr) == (
        2,
        "slurm-up: SLURM_LAB_NODES=two is no whole number\n",
    )
    taken = int(slurm.run("scontrol", "show", "config").split("SlurmctldPort")[1].split()[1])
    directory = slurm.directory / "other"  # short, unlike tmp_path
    done = lab("slurm-up", directory, port=taken)
    assert (done.returncode, done.stderr) == (
        PORT_TAKEN,
        f"slurm-up: port {taken} is taken: set SLURM_LAB_PORT\n",
    )
    assert not list((directory / "run").glob("*.pid"))


@pytest.mark.slow
def test_a_cluster_has_its_settings_is_mended_and_ends_with_its_owner() -> None:
    owner = subprocess.Popen(["sleep", "600"])
    settings = {"nodes": 1, "max_array": 5, "max_jobs": 50, "min_job_age": 7, "gpus": 0}
    with started(**settings, owner=owner.pid) as cluster:
        pids = daemons(cluster)
        assert set(pids) == {"munged", "slurmctld", "slurmd.n1"}
        shown = dict(
            line.split("=", 1)
            for line in cluster.run("scontrol", "show", "config").replace(" ", "").splitlines()
            if "=" in line
        )
        expected = {"MaxArraySize": "5", "MaxJobCount": "50", "MinJobAge": "7sec"}
        assert {name: shown[name] for name in expected} == expected
        assert "kill_invalid_depend" not in shown["DependencyParameters"]

        again = settings | {"port": shown["SlurmctldPort"]}
        os.kill(pids["slurmctld"], signal.SIGKILL)
        os.kill(pids["slurmd.n1"], signal.SIGKILL)
        cluster.wait(lambda: not running(pids["slurmctld"]) and not running(pids["slurmd.n1"]))
        assert lab("slurm-up", cluster.directory, **again).returncode == 0
        assert ended(cluster, cluster.submit("true")) == {"COMPLETED"}
        other = lab("slurm-up", cluster.directory, **again | {"max_array": 6})
        assert (other.returncode, other.stderr) == (
            1,
            "slurm-up: already up with another configuration: run slurm-down first\n",
        )

        pids = daemons(cluster)
        owner.kill()
        owner.wait()
        cluster.wait(lambda: not cluster.directory.exists())
        assert not any(running(pid) for pid in pids.values())


@pytest.mark.slow
@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_without_slurm_the_tests_skip_or_fail_and_say_why(
    tmp_path: Path, required: str, outcome: str
) -> None:
    """The latter where SANITY_REQUIRE_SLURM is set, as in continuous integration."""
    selected = f"{__file__}::test_both_nodes_are_idle_and_plain_commands_reach_them"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", selected],
        env=os.environ | {"SANITY_REQUIRE_SLURM": required, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert outcome in done.stdout
    assert "apt-get install slurm-wlm munge" in done.stdout


def daemons(cluster: Cluster) -> dict[str, int]:
    """The process ids of a cluster's daemons by name."""
    files = (cluster.directory / "run").glob("*.pid")
    return {path.stem: int(path.read_text()) for path in files if ".own" not in path.name}


def running(pid: int) -> bool:
    """Whether a process runs; an ended one may lack somebody who asks for its exit code."""
    status = Path(f"/proc/{pid}/cmdline")
    try:
        return bool(status.read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False
