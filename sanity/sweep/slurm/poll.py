"""What SLURM knows of a sweep's submissions at one moment."""

from collections.abc import Mapping

from sanity.sweep.scheduler import NO_RECORD, Active, Poll, Subject
from sanity.sweep.slurm import setup_lines, waits
from sanity.sweep.slurm.cluster import QueuedJob
from sanity.sweep.slurm.submitted import log_file
from sanity.sweep.sweep import Sweep

Queue = Mapping[str, QueuedJob]

ENDS = {
    "": NO_RECORD,
    "COMPLETED": NO_RECORD,
    "OUT_OF_MEMORY": "out of memory (raise hydra.launcher.mem_gb)",
    "TIMEOUT": "out of time (raise hydra.launcher.timeout_min)",
    "NODE_FAIL": "its node failed",
}


def active_ids(sweep: Sweep, queue: Queue) -> dict[Subject, str]:
    """The submissions of a sweep that have not ended, by job number or stage key."""
    submitted = sweep.latest().items()
    return {key: one for key, one in submitted if one in queue and queue[one].active}


def seen(sweep: Sweep, queue: Queue | None, ended: Mapping[str, str] | None = None) -> Poll:
    """What ``queue`` and, of ended jobs, accounting say of a sweep; None: nobody can be asked."""
    ids, known = sweep.latest(), queue or {}
    return Poll(
        submitted=ids.keys(),
        active={key: _active(known[one]) for key, one in active_ids(sweep, known).items()},
        why_ended=lambda subject: _end(sweep, ids.get(subject, ""), known, ended or {}),
        log=lambda subject: (
            log_file(sweep.cluster_directory, ids[subject]) if subject in ids else None
        ),
        unknown="submitted; SLURM cannot be asked from here" if queue is None else "",
    )


def _active(job: QueuedJob) -> Active:
    if job.state != "PENDING":
        return Active(runs=True)
    return Active(
        runs=False,
        why=waits.explain(job.reason),
        for_stage=job.reason == "Dependency",
        is_ordinary=waits.is_ordinary(job.reason),
    )


def _end(sweep: Sweep, identifier: str, queue: Queue, ended: Mapping[str, str]) -> str:
    """How SLURM says that a job ended which left no word itself."""
    # An array that was cancelled before any of its tasks had started is one job.
    job = queue.get(identifier) or queue.get(identifier.split("_")[0])
    state = job.state if job else ended.get(identifier, "")
    word = state.split(" ")[0].rstrip("+")
    # A job that was cancelled or out of time in its setup has that to say, and nothing else.
    by_itself = word in ("", "COMPLETED", "FAILED")
    why = setup_lines.failure(sweep.cluster_directory, identifier) if by_itself else ""
    return why or ENDS.get(word, f"{word.lower()} before it had ended")
