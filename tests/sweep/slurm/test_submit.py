"""Submitting and following, on a cluster that is played: what it accepts, refuses and forgets."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sanity.core.errors import SweepError
from sanity.core.files import write_json
from sanity.stages.stage import StageId
from sanity.sweep import scheduler
from sanity.sweep.plan import Job, Plan
from sanity.sweep.progress import Progress
from sanity.sweep.slurm import cluster, follow, submit
from sanity.sweep.slurm.cluster import Limits
from sanity.sweep.slurm.sbatch import Full
from sanity.sweep.slurm.submit import Resources, Submitter
from sanity.sweep.states import look
from sanity.sweep.sweep import Submission, Sweep


class Played:
    """Stands for SLURM: jobs end, done or failed, at the next look after their start."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.jobs: dict[str, list[str]] = {}
        self.calls: list[tuple[str, ...]] = []
        self.submitted: list[tuple[str, int]] = []
        self.most = 10**9
        self.refuse = ""
        self.fails = ""

    def sbatch(
        self, folder: Path, tasks: Sequence[Any], parameters: Mapping[str, Any], _: int
    ) -> list[str]:
        name = parameters["name"]
        if self.refuse and re.match(self.refuse, name):
            raise SweepError("hydra/launcher=slurm: sbatch: error: refused")
        if len(tasks) > self.most:
            raise Full("QOSMaxSubmitJobPerUserLimit")
        main = str(len(self.submitted) + 1)
        self.submitted.append((name, len(tasks)))
        ids = [f"{main}_{index}" for index in range(len(tasks))] if len(tasks) > 1 else [main]
        held = "hold" in parameters["slurm_additional_parameters"]
        self.jobs |= {one: ["PENDING", "JobHeldUser" if held else "None", name] for one in ids}
        return ids

    def ask(self, *command: str) -> str:
        self.calls.append(command)
        if command[0] == "squeue":
            self._go_on()
            chosen = [option.removeprefix("--name=") for option in command if "--name=" in option]
            jobs = {one: job for one, job in self.jobs.items() if not chosen or job[2] in chosen}
            return "".join(f"{one}|{job[0]}|{job[1]}\n" for one, job in jobs.items())
        if command[:2] == ("scontrol", "release"):
            for name in self._of(command[2]):
                self.jobs[name][1] = "None"
        if command[0] == "scancel":
            for name in (one for text in command[1:] for one in self._of(text)):
                self.jobs[name][0] = "CANCELLED"
        return ""

    def _of(self, text: str) -> list[str]:
        names = set(cluster.expand_id(text))
        return [one for one in self.jobs if one in names or one.split("_")[0] in names]

    def _go_on(self) -> None:
        subjects = {one.id: one for one in self.sweep.submitted()}
        for name, job in self.jobs.items():
            if job[0] != "PENDING" or job[1] == "JobHeldUser" or name not in subjects:
                continue
            failed = bool(self.fails) and job[2].startswith(self.fails)
            job[0] = "FAILED" if failed else "COMPLETED"
            if (key := subjects[name].stage) is not None and not failed:
                entry = self.sweep.store_dir / "train_dense" / key
                entry.mkdir(parents=True, exist_ok=True)
                (entry / "manifest.json").touch()


def job(number: int, dense: str) -> Job:
    stages = (
        StageId("train_dense", "train_dense", dense),
        StageId("train_ticket", "train_ticket", f"ticket{number}"),
    )
    return Job(number, (f"seed={number}",), str(number), stages, {"rewind": "init"}, 0.9, 0, 2, "")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Six jobs on two dense networks."""
    plan = Plan("six", tuple(job(number, "ab"[number % 2]) for number in range(6)))
    place, store = tmp_path / "sweep", tmp_path / "store"
    written = Sweep(
        place, plan, "identity", "sweep-identi", store, "slurm", (), None, None, (), "now"
    )
    written.write()
    return written


@pytest.fixture
def played(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> Played:
    found = Played(sweep)
    monkeypatch.setattr(submit, "sbatch", found.sbatch)
    monkeypatch.setattr(cluster, "_ask", found.ask)
    monkeypatch.setattr(follow, "SETTLE", 0.0)
    monkeypatch.setattr("sanity.sweep.slurm.follow.time.sleep", lambda _: None)
    return found


def submitter(sweep: Sweep, width: int | None = None, most: int | None = None) -> Submitter:
    limits = Limits(1000, most, None)
    return Submitter(sweep, Resources({}), Resources({}), limits, width)


def followed(sweep: Sweep, of: Submitter) -> list[str]:
    """Submit all and wait: the names of what was submitted are on the played cluster."""
    waiting = follow.start(of, sweep.plan.jobs)
    return [state.why for state in follow.wait(of, waiting, Progress(None, None, 6, 0))]


def test_what_may_never_start_is_said_once_and_again_when_the_reason_changes(
    sweep: Sweep, played: Played, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would know otherwise: a job that asks for what no node has stays in the queue."""
    reasons = ["BadConstraints"] * 3 + ["Priority"] + ["QOSGrpCpuLimit"] * 2 + ["BadConstraints"]

    def go_on() -> None:
        for job in played.jobs.values():
            ready = job[0] == "PENDING" and job[1] != "JobHeldUser"
            if ready:
                job[:2] = ["PENDING", reasons[0]] if reasons else ["CANCELLED", "None"]
        del reasons[:1]

    monkeypatch.setattr(played, "_go_on", go_on)
    of = submitter(sweep)
    waiting = follow.start(of, sweep.plan.jobs)
    played.jobs["1"][1] = played.jobs["2"][1] = "None"  # the two stages
    states = follow.wait(of, waiting, Progress(None, None, 6, 0))
    said = [record.message for record in caplog.records]
    assert said == [
        "on SLURM 6 jobs and 2 shared stages wait: BadConstraints: no node has all that is asked "
        "for (constraint, gres, gpus_per_node, cpus_per_task, mem_gb)",
        "on SLURM 6 jobs and 2 shared stages wait: QOSGrpCpuLimit: a limit of its account or qos "
        "is reached, or lower than what it asks for",
    ]
    assert {state.word for state in states} == {"failed"}


def test_a_job_says_what_the_stage_that_it_waits_for_waits_for(
    sweep: Sweep, played: Played
) -> None:
    follow.start(submitter(sweep), sweep.plan.jobs)
    played.sweep = dataclasses.replace(sweep, directory=sweep.directory / "none")  # none ends
    for identifier, job in played.jobs.items():
        job[:2] = ["PENDING", "Dependency" if "_" in identifier else "PartitionTimeLimit"]
    why = look(sweep)[0].why
    assert why == (
        "for its train_dense a: PartitionTimeLimit: timeout_min is more than the partition allows"
    )
    played.jobs["1"][:2] = ["RUNNING", "None"]
    state = look(sweep)[0]
    assert state.why == "for its train_dense a, which is running"
    assert state.log == sweep.cluster_directory / "1_0_log.out", "where there is something to see"
    played.jobs["1"][:2] = ["PENDING", "Priority"]
    assert look(sweep)[0].why == "for the stages that it goes on from"


def test_a_job_whose_setup_failed_says_which_line(sweep: Sweep, played: Played) -> None:
    follow.start(submitter(sweep), sweep.plan.jobs)
    played.sweep = dataclasses.replace(sweep, directory=sweep.directory / "none")
    for identifier in ("3_1", "3_3", "1"):
        note = sweep.cluster_directory / f"{identifier}_setup_failed"
        note.write_text("module load x ended with exit code 1")
        played.jobs[identifier][:2] = ["FAILED", "NonZeroExitCode"]
    played.jobs["3_0"][:2] = ["CANCELLED", "DependencyNeverSatisfied"]
    played.jobs["3_3"][:2] = ["CANCELLED", "None"]
    states = look(sweep)
    reason = "hydra.launcher.setup: module load x ended with exit code 1"
    assert states[0].word == states[1].word == "failed"
    assert states[0].why == f"its train_dense a failed: {reason}"
    assert states[1].why == reason
    assert states[3].why == "cancelled before it had ended", "that ended its setup"


def test_tasks_of_an_array_that_was_cancelled_before_it_began_were_cancelled(
    sweep: Sweep, played: Played
) -> None:
    """SLURM then knows the array, and none of its tasks."""
    sweep.note_submissions([Submission(f"9_{number}", job=number) for number in range(6)])
    played.jobs = {"9": ["CANCELLED", "None", "x"]}
    assert {state.why for state in look(sweep)} == {"cancelled before it had ended"}


def test_what_a_user_wants_jobs_to_wait_for_is_waited_for_as_well(
    sweep: Sweep, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(folder: Path, tasks: Any, parameters: Any, _: int) -> list[str]:
        asked.append(parameters["slurm_additional_parameters"].get("dependency", ""))
        return played.sbatch(folder, tasks, parameters, _)

    monkeypatch.setattr(submit, "sbatch", note)
    own = Resources({"slurm_additional_parameters": {"dependency": "afterok:99"}})
    of = dataclasses.replace(submitter(sweep), jobs=own, stages=own)
    follow.start(of, sweep.plan.jobs)
    assert asked[:2] == ["singleton,afterok:99"] * 2
    told = [call[3] for call in played.calls if call[:2] == ("scontrol", "update")]
    assert told == ["Dependency=afterok:99,afterok:1", "Dependency=afterok:99,afterok:2"]


def test_one_place_in_the_queue_is_enough_for_jobs_with_stages(
    sweep: Sweep, played: Played
) -> None:
    followed(sweep, submitter(sweep, most=1))
    names = [name.split("-")[0] for name, _ in played.submitted]
    assert names.count("train_dense") == 2
    assert names.count("sweep") == 6
    assert names[0] == "train_dense"


def test_a_stage_that_failed_is_not_tried_again_for_jobs_that_wait_for_room(
    sweep: Sweep, played: Played
) -> None:
    played.fails = "train_dense-a"
    reasons = followed(sweep, submitter(sweep, most=2))
    names = [name for name, _ in played.submitted]
    assert names.count("train_dense-a") == 1
    assert all("its train_dense a failed" in reasons[number] for number in (2, 4))


def test_jobs_that_failed_before_and_wait_for_room_are_submitted_again(
    sweep: Sweep, played: Played
) -> None:
    old = [Submission(f"9_{number}", job=number) for number in range(6)]
    sweep.note_submissions([*old, Submission("8", stage="a")])
    followed(sweep, submitter(sweep, most=2))
    ids = sweep.latest()
    assert all(not ids[number].startswith("9_") for number in range(6))
    assert sum(count for name, count in played.submitted if name.startswith("sweep")) == 6


def test_a_limit_that_only_sbatch_knows_is_found_by_trying_fewer(
    sweep: Sweep, played: Played
) -> None:
    played.most = 2
    followed(sweep, submitter(sweep))
    sizes = [count for name, count in played.submitted if name.startswith("sweep")]
    assert sum(sizes) == 6
    assert max(sizes) == 2


def test_a_cluster_that_accepts_nothing_is_no_endless_wait(sweep: Sweep, played: Played) -> None:
    played.most = 0
    with pytest.raises(SweepError, match="QOSMaxSubmitJobPerUserLimit"):
        followed(sweep, submitter(sweep))


def test_what_is_refused_leaves_nothing_half_submitted(sweep: Sweep, played: Played) -> None:
    played.refuse = "sweep"
    with pytest.raises(SweepError, match="refused"):
        follow.start(submitter(sweep), sweep.plan.jobs)
    assert {job[0] for job in played.jobs.values()} == {"CANCELLED"}
    assert sweep.latest() == {}
    assert {state.word for state in look(sweep)} == {"missing"}


def test_a_held_array_is_taken_back_when_it_cannot_be_told_what_to_wait_for(
    sweep: Sweep, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster, "set_dependency", fail)
    with pytest.raises(KeyboardInterrupt):
        follow.start(submitter(sweep), sweep.plan.jobs)
    assert len(played.jobs) == 8
    assert {job[0] for job in played.jobs.values()} == {"CANCELLED"}


def test_an_array_that_a_dead_parent_left_held_and_unnoted_is_dropped(
    sweep: Sweep, played: Played
) -> None:
    of = submitter(sweep)
    played.jobs = {
        "70_0": ["PENDING", "JobHeldUser", of.array_name],
        "71": ["PENDING", "JobHeldUser", "somebody-elses"],
    }
    follow.start(of, sweep.plan.jobs)
    assert played.jobs["70_0"][0] == "CANCELLED"
    assert played.jobs["71"][0] == "PENDING"


def test_stages_that_are_under_way_count_for_the_width_of_those_to_come(
    sweep: Sweep, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(folder: Path, tasks: Any, parameters: Any, _: int) -> list[str]:
        asked.append(parameters["slurm_additional_parameters"].get("dependency", ""))
        return played.sbatch(folder, tasks, parameters, _)

    monkeypatch.setattr(submit, "sbatch", note)
    submitter(sweep, width=2).submit(sweep.plan.jobs, {"a": "50"}, 100)
    assert asked[0] == "singleton,afterany:50", "one place is for jobs"


def test_another_launcher_does_not_start_what_slurm_still_has(sweep: Sweep, played: Played) -> None:
    played.jobs = {"9_0": ["PENDING", "Resources", "x"]}
    sweep.note_submissions([Submission("9_0", job=0)])
    played.sweep = dataclasses.replace(sweep, directory=sweep.directory / "none")  # none ends
    with pytest.raises(SweepError, match="SLURM still has 1 jobs of this sweep"):
        scheduler.of(sweep).withdraw(sweep.plan.jobs)
    played.jobs["9_0"][0] = "CANCELLED"
    scheduler.of(sweep).withdraw(sweep.plan.jobs)
    assert sweep.latest() == {}, "how it ended on SLURM is not how it ends here"


def test_records_of_jobs_that_have_just_completed_are_kept(sweep: Sweep) -> None:
    for number, status in ((0, "completed"), (1, "failed")):
        place = sweep.directory / str(number)
        place.mkdir()
        write_json(place / "record.json", {"status": status})
    sweep.forget_failures(sweep.plan.jobs)
    assert (sweep.directory / "0" / "record.json").exists()
    assert not (sweep.directory / "1" / "record.json").exists()


def test_a_submission_that_is_half_written_hides_no_other(sweep: Sweep) -> None:
    sweep.note_submissions([Submission("1_0", job=0)])
    path = sweep.cluster_directory / "submissions.jsonl"
    path.write_text(path.read_text() + '{"id": "2_')
    assert sweep.latest() == {0: "1_0"}
    sweep.note_submissions([Submission("3", job=1)])
    assert sweep.latest() == {0: "1_0", 1: "3"}
