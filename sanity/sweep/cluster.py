"""What SLURM is asked and told, by its own commands."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sanity.errors import SweepError

ACTIVE = {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "STOPPED"}
ACTIVE |= {"REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT"}
"""States of a job that has not ended, or will be started again."""

DEFAULT_ARRAY = 1001  # SLURM's own default of MaxArraySize


@dataclass(frozen=True)
class Limits:
    """The largest array, and how many jobs there may be in the queue (None: not limited).

    ``submit`` counts the user's jobs that have not ended (MaxSubmitJobs), ``known`` all that
    SLURM still remembers (MaxJobCount).
    """

    array: int
    submit: int | None
    known: int | None


@dataclass(frozen=True)
class Ticket:
    """A job in the queue: its state and why it is in it, in SLURM's words."""

    state: str
    reason: str

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


def require() -> None:
    """Raise SweepError where SLURM's commands are missing."""
    for command in ("sbatch", "squeue", "scontrol", "srun"):
        if shutil.which(command) is None:
            raise SweepError(
                f"hydra/launcher=slurm: there is no {command} on this machine; log in where jobs "
                "are submitted, or choose hydra/launcher=local"
            )


def leave_job() -> None:
    """Forget the variables of a job that this process itself runs in, if it does.

    srun and sbatch take them for options of the jobs that are submitted from here.
    """
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SRUN_", "SBATCH_")) and name != "SLURM_CONF":
            del os.environ[name]


def limits() -> Limits:
    """What the cluster accepts: its configuration and, with accounting, the user's association."""
    config = dict(
        re.findall(r"^(\w+)\s*=\s*(\S+)", _ask("scontrol", "show", "config"), re.MULTILINE)
    )
    array = int(config.get("MaxArraySize", DEFAULT_ARRAY))
    # MaxArraySize is one more than the largest index; 0 means that there are no arrays.
    known = int(config["MaxJobCount"]) if "MaxJobCount" in config else None
    return Limits(max(array, 1), min(_association_limits(), default=None), known)


def room(limits: Limits, queue: Mapping[str, Ticket]) -> int:
    """How many more jobs the cluster would accept."""
    used = {limits.submit: sum(ticket.active for ticket in queue.values())}
    # sbatch does not fail at MaxJobCount, it tries again for minutes; array tasks count one each.
    used[limits.known] = len(queue) + 1
    return max(0, min((limit - count for limit, count in used.items() if limit), default=10**9))


def queue() -> dict[str, Ticket]:
    """The user's jobs that are queued or ended a short while ago, by id (``12`` or ``12_3``)."""
    # One line a task (--array): lines of many tasks mix up what each of them waits for.
    text = _ask("squeue", "--noheader", "--me", "--array", "--states=all", "--format=%i|%T|%r")
    lines = (line.strip().split("|", 2) for line in text.splitlines())
    return {name: Ticket(state, reason) for name, state, reason in lines}


def ended(ids: Iterable[str]) -> dict[str, str]:
    """What accounting says of ended jobs, by id: nothing where there is no accounting."""
    mains = sorted({identifier.split("_")[0] for identifier in ids})
    if not mains or shutil.which("sacct") is None:
        return {}
    command = ("sacct", "-n", "-P", "-X", "-o", "JobID,State", "-j", ",".join(mains))
    try:
        text = _ask(*command)
    except SweepError:
        return {}
    rows = (line.split("|") for line in text.splitlines() if line.count("|") == 1)
    return {one: state for name, state in rows for one in expand_id(name)}


def expand_id(text: str) -> list[str]:
    """The jobs that SLURM means: ``12_[0-2,5%3]`` is ``12_0``, ``12_1``, ``12_2``, ``12_5``."""
    match = re.fullmatch(r"(\d+)_\[([\d,:-]+)(?:%\d+)?\]", text)
    if match is None:
        return [text]
    return [f"{match[1]}_{index}" for part in match[2].split(",") for index in _indices(part)]


def condense(indices: Iterable[int]) -> str:
    """Task indices as SLURM reads them: 0, 1, 2 and 5 are ``0-2,5``."""
    spans: list[list[int]] = []
    for index in sorted(indices):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def set_dependency(job: str, tasks: Iterable[int] | None, dependency: str) -> None:
    """Let a held job, or some tasks of a held array, wait for other jobs."""
    which = job if tasks is None else f"{job}_[{condense(tasks)}]"
    _ask("scontrol", "update", f"JobId={which}", f"Dependency={dependency}")


def set_throttle(array: str, running: int) -> None:
    """Let at most so many tasks of an array run at once.

    scontrol changes it and fails all the same, once any task of the array has ended.
    """
    with contextlib.suppress(SweepError):
        _ask("scontrol", "update", f"JobId={array}", f"ArrayTaskThrottle={running}")


def release(job: str) -> None:
    """Let a held job, or array, start."""
    _ask("scontrol", "release", job)


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, queued or running."""
    if jobs:
        _ask("scancel", *jobs)


def _indices(part: str) -> range:
    span, _, step = part.partition(":")
    low, _, high = span.partition("-")
    return range(int(low), int(high or low) + 1, int(step or 1))


def _association_limits() -> list[int]:
    """MaxSubmitJobs of the user's associations; the smallest is the one to keep to."""
    if shutil.which("sacctmgr") is None:
        return []
    who = f"user={os.environ.get('USER', '')}"
    try:
        text = _ask("sacctmgr", "-nP", "show", "assoc", who, "format=MaxSubmitJobs,GrpSubmitJobs")
    except SweepError:  # no accounting, no such limit
        return []
    return [int(number) for number in re.findall(r"\d+", text)]


def _ask(*command: str) -> str:
    # Without it squeue shortens the list of an array's pending tasks.
    environment = os.environ | {"SLURM_BITSTR_LEN": "0"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SweepError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SweepError(f"{' '.join(command[:3])}: {lines[-1] if lines else 'failed'}")
    return done.stdout
