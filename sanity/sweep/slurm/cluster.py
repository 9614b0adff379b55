"""What SLURM is asked and told, by its own commands."""

import contextlib
import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sanity.core.errors import SweepError, as_line

ACTIVE = {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "STOPPED"}
ACTIVE |= {"REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT"}
"""States of a job that has not ended, or will be started again."""

DEFAULT_ARRAY = 1001  # SLURM's own default of MaxArraySize
DEFAULTS = ("SQUEUE_", "SACCT_", "SCANCEL_")  # variables that stand for options
OF_A_JOB = ("SLURM_", "SRUN_", "SBATCH_")
NOT_OURS = {"SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_ERROR"}
"""Options that no job of a sweep can have, and that nothing said to sbatch would undo."""


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
class QueuedJob:
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


def limits() -> Limits:
    """What the cluster accepts: its configuration and, with accounting, the user's association."""
    text = _ask("scontrol", "show", "config")
    config = dict(re.findall(r"^(\w+)\s*=\s*(\S+)", text, re.MULTILINE))
    array = int(config.get("MaxArraySize", DEFAULT_ARRAY))
    # MaxArraySize is one more than the largest index; 0 means that there are no arrays.
    known = int(config["MaxJobCount"]) if "MaxJobCount" in config else None
    return Limits(max(array, 1), min(_association_limits(), default=None), known)


def room(limits: Limits, queue: Mapping[str, QueuedJob]) -> int:
    """How many more jobs the cluster would accept."""
    used = {limits.submit: sum(ticket.active for ticket in queue.values())}
    # sbatch does not fail at MaxJobCount, it tries again for minutes; array tasks count one each.
    used[limits.known] = len(queue) + 1
    return max(0, min((limit - count for limit, count in used.items() if limit), default=10**9))


def queue(*which: str) -> dict[str, QueuedJob]:
    """The user's jobs that are queued or ended a short while ago, by id (``12`` or ``12_3``).

    ``which`` are squeue's options that choose among them.
    """
    # One line a task (--array): lines of many tasks mix up what each of them waits for. Names are
    # not asked for: bars and line breaks may stand in them.
    text = _ask(
        *("squeue", "--noheader", "--me", "--array", "--states=all", "--format=%i|%T|%r"), *which
    )
    lines = (line.strip().split("|", 2) for line in text.splitlines())
    return {line[0]: QueuedJob(*line[1:]) for line in lines if len(line) == 3}


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
    _change("update", f"JobId={which}", f"Dependency={dependency}")


def set_throttle(array: str, running: int) -> None:
    """Let at most so many tasks of an array run at once; that it cannot be set stops nothing."""
    with contextlib.suppress(SweepError):
        _change("update", f"JobId={array}", f"ArrayTaskThrottle={running}")


def release(job: str) -> None:
    """Let a held job, or array, start."""
    _change("release", job)


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, queued or running."""
    arrays: dict[str, list[int]] = {}
    names = []
    for one in jobs:
        main, _, task = one.partition("_")
        if task:  # one request an array, where thousands of tasks would be one each
            arrays.setdefault(main, []).append(int(task))
        else:
            names.append(one)
    names += [f"{main}_[{condense(tasks)}]" for main, tasks in arrays.items()]
    if names:
        _ask("scancel", *names)


def _indices(part: str) -> range:
    span, _, step = part.partition(":")
    low, _, high = span.partition("-")
    return range(int(low), int(high or low) + 1, int(step or 1))


def _association_limits() -> list[int]:
    """MaxSubmitJobs of the user's associations; the smallest is the one to keep to."""
    if shutil.which("sacctmgr") is None:
        return []
    try:
        who = f"user={getpass.getuser()}"
        text = _ask("sacctmgr", "-nP", "show", "assoc", who, "format=MaxSubmitJobs,GrpSubmitJobs")
    except (SweepError, OSError, KeyError):  # no accounting, or no such user: no such limit
        return []
    return [int(number) for number in re.findall(r"\d+", text)]


def _change(*command: str) -> None:
    """Tell scontrol; it fails where a task of an array has ended, and changes the others."""
    try:
        _ask("scontrol", *command)
    except SweepError as error:
        if not re.search(r": (No error|Job has already finished)$", str(error)):
            raise


def _ask(*command: str) -> str:
    code, output, errors = call(*command)
    if code:
        lines = (errors or output).strip().splitlines()
        reason = as_line(lines[-1]) if lines else "failed"
        raise SweepError(f"{' '.join(command[:3])}: {reason}")
    return output


def call(*command: str) -> tuple[int, str, str]:
    """The exit code of a command of SLURM's, and what it prints to stdout and stderr.

    Names of other people's jobs and words of a site's plugins stand in it, in any encoding.
    """
    try:
        done = subprocess.run(
            command, env=environment(os.environ), capture_output=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SweepError(f"{command[0]}: {error}") from error
    output, errors = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return done.returncode, output, errors


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """``variables`` without those that SLURM's commands would wrongly take for options.

    A user's own defaults (a partition, a format) must not hide jobs. Those of a job that this
    process itself runs in are about that job; outside of one they are the user's own.
    """
    left_out = (*DEFAULTS, *OF_A_JOB) if "SLURM_JOB_ID" in variables else DEFAULTS
    kept = {
        name: text
        for name, text in variables.items()
        if name == "SLURM_CONF" or not (name.startswith(left_out) or name in NOT_OURS)
    }
    # Without it squeue shortens the list of an array's pending tasks.
    return kept | {"SLURM_BITSTR_LEN": "0"}
