"""What SLURM's commands print and are told, without SLURM."""

from pathlib import Path

import pytest

from sanity.core.errors import ConfigError, SweepError
from sanity.sweep.slurm import cluster
from sanity.sweep.slurm.cluster import Limits, QueuedJob
from sanity.sweep.slurm.requests import validate, validate_directory


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands given; none prints anything."""
    commands: list[tuple[str, ...]] = []

    def note(*command: str) -> str:
        commands.append(command)
        return ""

    monkeypatch.setattr(cluster, "_ask", note)
    return commands


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("12", ["12"]),
        ("12_3", ["12_3"]),
        ("12_[0-2,5%3]", ["12_0", "12_1", "12_2", "12_5"]),
        ("12_[0-6:3]", ["12_0", "12_3", "12_6"]),
    ],
)
def test_ids_as_slurm_writes_them(text: str, ids: list[str]) -> None:
    assert cluster.expand_id(text) == ids


def test_indices_are_condensed_and_come_back() -> None:
    assert cluster.condense([5, 0, 2, 1]) == "0-2,5"
    assert cluster.expand_id(f"7_[{cluster.condense([5, 0, 2, 1])}]") == [
        "7_0",
        "7_1",
        "7_2",
        "7_5",
    ]


def test_room_is_what_the_tightest_limit_leaves() -> None:
    queue = {"1": QueuedJob("RUNNING", ""), "2": QueuedJob("COMPLETED", "")}
    assert cluster.room(Limits(10, 5, None), queue) == 4, "ended jobs are none of MaxSubmitJobs"
    assert cluster.room(Limits(10, 5, 6), queue) == 3, "SLURM refuses the last of MaxJobCount"
    assert cluster.room(Limits(10, 1, 2), queue) == 0
    assert cluster.room(Limits(10, None, None), queue) > 10**6


def test_lines_that_are_no_jobs_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "4_1|PENDING|ReqNodeNotAvail, UnavailableNodes:n1\nslurm_load_jobs: hello\n"
    monkeypatch.setattr(cluster, "_ask", lambda *_: text)
    reason = "ReqNodeNotAvail, UnavailableNodes:n1"
    assert cluster.queue() == {"4_1": QueuedJob("PENDING", reason)}


def test_what_commands_print_may_be_in_any_encoding() -> None:
    assert cluster._ask("printf", r"caf\351 | \205\n") == "caf\N{REPLACEMENT CHARACTER} | \ufffd\n"
    with pytest.raises(SweepError, match=r"bash -c printf .*: d\ufffdsol\ufffd"):
        cluster._ask("bash", "-c", r"printf 'd\351sol\351\n' >&2; exit 1")


def test_a_users_defaults_hide_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    monkeypatch.setenv("SLURM_CONF", "here")
    seen = cluster._ask("env")
    assert "SQUEUE_PARTITION" not in seen
    assert "SLURM_CONF=here" in seen


OWN = {"SLURM_CONF": "here", "SLURM_MPI_TYPE": "none", "SBATCH_ACCOUNT": "us", "HOME": "/home/me"}


def test_options_that_no_job_of_a_sweep_can_have_are_not_handed_on() -> None:
    unwanted = {"SBATCH_ARRAY_INX": "3-4", "SBATCH_WAIT": "1", "SBATCH_ERROR": "/x"}
    kept = cluster.environment(OWN | unwanted | {"SACCT_FORMAT": "x"})
    assert kept == OWN | {"SLURM_BITSTR_LEN": "0"}


def test_what_is_about_the_job_one_is_in_is_not_handed_on() -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SRUN_DEBUG": "3", "SBATCH_EXPORT": "NONE"}
    kept = cluster.environment(OWN | job)
    assert kept == {"SLURM_CONF": "here", "HOME": "/home/me", "SLURM_BITSTR_LEN": "0"}


def test_cancelling_is_one_request_an_array(told: list[tuple[str, ...]]) -> None:
    cluster.cancel(["9", *(f"12_{index}" for index in range(5000)), "13_4"])
    assert told == [("scancel", "9", "12_[0-4999]", "13_[4]")]
    cluster.cancel([])
    assert len(told) == 1


@pytest.mark.parametrize("word", ["No error", "Job has already finished"])
def test_a_task_that_has_ended_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    def fail(*_: str) -> str:
        raise SweepError(f"scontrol release 4: 4_0-1: {word}")

    monkeypatch.setattr(cluster, "_ask", fail)
    cluster.release("4")
    cluster.set_dependency("4", [0, 1], "afterok:3")


def test_another_complaint_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str) -> str:
        raise SweepError("scontrol release 4: Invalid job id specified")

    monkeypatch.setattr(cluster, "_ask", fail)
    with pytest.raises(SweepError, match="Invalid job id"):
        cluster.release("4")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("array_parallelism", 0),
        ("array_parallelism", -1),
        ("array_parallelism", "two"),
        ("max_submit", 0),
        ("timeout_min", None),
        ("timeout_min", "4:00:00"),
        ("timeout_min", float("inf")),
        ("mem_gb", "16G"),
        ("mem_gb", 0),
        ("gpus_per_node", -1),
        ("cpus_per_task", True),
        ("wait", "no"),
        ("setup", "module load cuda"),
        ("additional_parameters", "nice"),
        ("tasks_per_node", 2),
        ("nodes", 2),
        ("nodes", "1-2"),
        ("stage", ["mem_gb"]),
    ],
)
def test_settings_that_ask_for_nothing_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{name}="):
        validate({name: value})


def test_settings_of_stages_are_checked_too() -> None:
    validate({"stage": {"mem_gb": 32}, "timeout_min": 240, "setup": ["true"], "max_submit": None})
    with pytest.raises(ConfigError, match=r"^hydra\.launcher\.stage\.mem_gb=much: must be"):
        validate({"stage": {"mem_gb": "much"}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ntasks", 2),
        ("ntasks-per-node", 2),
        ("ntasks_per_node", 2),
        ("array", "0-3"),
        ("job-name", "mine"),
        ("job_name", "mine"),
        ("output", "log"),
        ("wait", True),
        ("export", ["HOME", "PATH"]),
        ("export", None),
        ("requeue", False),
        ("comment", "two\nlines"),
    ],
)
def test_options_that_a_sweep_has_no_use_for_are_refused_by_name(name: str, value: object) -> None:
    label = rf"^hydra\.launcher\.additional_parameters\.{name}="
    with pytest.raises(ConfigError, match=label):
        validate({"additional_parameters": {name: value}})


def test_other_options_are_the_users() -> None:
    options = {"export": "NONE", "nice": 100, "exclusive": True, "mail-type": "FAIL", "ntasks": 1}
    validate({"additional_parameters": options, "nodes": 1, "tasks_per_node": None})


@pytest.mark.parametrize("name", ["back\\slash", "12:30:00", "two\nlines", "caf\udce9"])
def test_directories_that_would_be_taken_for_others_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.sweep\.dir=/sweeps/.*: must not contain "):
        validate_directory(Path("/sweeps") / name)


@pytest.mark.parametrize("name", ["100%j", "it's", "a b", "$HOME", "über"])
def test_other_directories_are_names(name: str) -> None:
    validate_directory(Path("/sweeps") / name)
