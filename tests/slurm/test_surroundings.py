"""Sweeps on a real SLURM that is set up otherwise, beside jobs of others, in odd directories."""

import json
import os
import time
from pathlib import Path

import pytest
from processes import Process

from sanity.sweep import sweep as sweeps
from slurm.cluster import Cluster
from slurm.test_sweeps import TINY, command, look_after, records, states, submit_sweep, sweep

MASKS = (*TINY, "until=prune", "pruner=random", "seed=0,1")


@pytest.mark.parametrize(
    "variables",
    [
        {"SBATCH_EXPORT": "NONE"},
        {"SLURM_EXPORT_ENV": "NONE", "SLURM_NTASKS": "2", "SLURM_STDOUTMODE": "none"},
        {"SBATCH_ARRAY_INX": "3-4", "SBATCH_WAIT": "1", "SBATCH_ERROR": "lost"},
        {"SBATCH_TIMELIMIT": "1", "SBATCH_JOB_NAME": "mine", "SBATCH_OUTPUT": "lost"},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SBATCH_EXPORT": "NONE"},
    ],
    ids=" ".join,
)
def test_variables_of_a_site_or_a_shell_change_no_job(
    slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    done = submit_sweep(tmp_path, *MASKS, timeout_min=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 done" in done.stdout
    found = sweep(tmp_path)
    for identifier in found.latest().values():
        job = slurm.job(identifier)
        assert job["JobName"].startswith("sweep-")
        assert job["TimeLimit"] == "00:30:00"
        assert job["StdErr"] == job["StdOut"]
        log = (found.cluster_directory / f"{identifier}_0_log.out").read_text()
        assert log.count("Starting with JobEnvironment") == 1


def test_a_job_without_the_users_variables_has_those_that_settings_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANITY_TENSORBOARD_DIR", str(tmp_path / "boards, all"))
    monkeypatch.setenv("OF_THE_SHELL", "1")
    seen = f"env > {tmp_path}/seen"
    options = {"additional_parameters": "{export: NONE}", "setup": f"['{seen}']"}
    done = submit_sweep(tmp_path, *MASKS[:-1], "tracker=tensorboard", **options)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = records(tmp_path)
    assert record["config"]["tracker"]["tensorboard"]["dir"] == str(tmp_path / "boards, all")
    assert "OF_THE_SHELL" not in (tmp_path / "seen").read_text(), "as was asked for"


def test_directories_whose_names_look_like_patterns_quotes_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "100%j it's %A_%a $HOME ü" / "-x #1"
    place.mkdir(parents=True)
    monkeypatch.setenv("SANITY_STORE_DIR", str(place / "store %t"))
    names = "hydra.sweep.subdir='${hydra.job.num} 5%j'"
    done = submit_sweep(place, *TINY, "pruner=lt,random", names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 done" in done.stdout
    found = sweep(place)
    assert found.directory.is_relative_to(place)
    assert {path.parent.name for path in found.directory.glob("*/record.json")} == {
        "0 5%j",
        "1 5%j",
    }
    for one in found.submitted():
        log = found.cluster_directory / f"{one.id}_0_log.out"
        assert "Starting with JobEnvironment" in log.read_text()
    assert [path.name for path in tmp_path.iterdir()] == [place.parent.name], "nothing lies beside"


def test_foreign_jobs_may_have_any_name(slurm: Cluster, tmp_path: Path) -> None:
    names = [b"caf\xe9", b"a|b|c", b"line\n9999_0|RUNNING|None", b"\x85\x1b[31m"]
    foreign = [
        slurm.submit("sleep 600", f"--job-name={os.fsdecode(name)}", "--hold") for name in names
    ]
    done = submit_sweep(tmp_path, *TINY, "pruner=lt,random", "seed=0,1", array_parallelism=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 done" in done.stdout
    logs = list(sweep(tmp_path).cluster_directory.glob("*_log.out"))
    assert not [log for log in logs if "throttle stays" in log.read_text(errors="replace")]
    assert look_after(tmp_path, "status").returncode == 0
    assert {slurm.states(one)[one] for one in foreign} == {"PENDING"}


def test_a_setup_line_that_fails_ends_the_jobs_and_is_the_reason(
    slurm: Cluster, tmp_path: Path
) -> None:
    setup = "['export COLOUR=green','ls /nowhere/at/all','touch reached']"
    done = submit_sweep(tmp_path, *TINY, "pruner=lt,random", setup=setup)
    assert done.returncode == 1
    reason = "hydra.launcher.setup: ls /nowhere/at/all ended with exit code 2"
    found = states(tmp_path)
    assert found[0]["why"].endswith(f"failed: {reason}")
    assert found[1]["why"] == reason
    assert {row["state"] for row in found.values()} == {"failed"}
    assert reason in " ".join(done.stdout.split())
    assert "No such file or directory" in Path(found[1]["log"]).read_text()
    ids = sweep(tmp_path).latest()
    assert slurm.states(ids[1])[ids[1]] == "FAILED"
    assert not list(tmp_path.rglob("reached"))


def test_what_no_node_has_is_said_while_one_waits(slurm: Cluster, tmp_path: Path) -> None:
    """sbatch accepts a held array that it would refuse otherwise."""
    process = Process(command(*MASKS, gres="gpu:7"), tmp_path)
    slurm.wait(lambda: list(tmp_path.glob("multirun/*/*/slurm/submissions.jsonl")), timeout=120)
    slurm.wait(lambda: "BadConstraints" in slurm.run("squeue", "-h", "-o", "%r"))
    assert "BadConstraints: no node has all that is asked for" in states(tmp_path)[0]["why"]
    time.sleep(3)  # in which the parent asks at least once
    assert look_after(tmp_path, "cancel").returncode == 0
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"logs are in {sweep(tmp_path).cluster_directory}" in " ".join(errors.split())
    said = "on SLURM 2 jobs wait: BadConstraints: no node has all"
    assert " ".join(errors.split()).count(said) == 1
    assert "cancelled before it had ended" in output


def test_where_logs_are_is_said_when_nobody_waits(slurm: Cluster, tmp_path: Path) -> None:
    done = submit_sweep(tmp_path, *MASKS, wait="false")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.rglob("sweep.json")
    directory = path.parent / "slurm"
    assert f"logs are in {directory}" in " ".join(done.stderr.split())
    slurm.wait(lambda: not slurm.run("squeue", "-h"))
    rows = json.loads(look_after(tmp_path, "status", "--json").stdout)
    assert all(Path(row["log"]).is_relative_to(directory) for row in rows)
    assert sweeps.read(path.parent).latest().keys() == {0, 1}
