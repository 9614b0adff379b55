"""SLURM, as those see it who look after a sweep."""

import logging
import shlex
from collections.abc import Mapping, Sequence

from sanity.core.errors import SweepError
from sanity.sweep.plan import Job
from sanity.sweep.scheduler import NO_RECORD, Active, Poll, Scheduler, Subject
from sanity.sweep.slurm import cluster, setup_lines, waits
from sanity.sweep.slurm.cluster import QueuedJob
from sanity.sweep.slurm.submitted import log_file
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)

Queue = Mapping[str, QueuedJob]

ENDS = {
    "": NO_RECORD,
    "COMPLETED": NO_RECORD,
    "OUT_OF_MEMORY": "out of memory (raise hydra.launcher.mem_gb)",
    "TIMEOUT": "out of time (raise hydra.launcher.timeout_min)",
    "NODE_FAIL": "its node failed",
}


class Slurm(Scheduler):
    """Asks squeue, and sacct of what has ended; ends jobs by scancel."""

    def poll(self) -> Poll:
        """A controller that does not answer is told, and its jobs are then not known."""
        submitted = self.sweep.latest()
        try:
            queue = cluster.queue()
        except SweepError as error:
            log.warning("%s", error)
            return seen(self.sweep, None)
        return seen(
            self.sweep, queue, cluster.ended(one for one in submitted.values() if one not in queue)
        )

    def cancel(self) -> int:
        """What jobs have reached stays in the store."""
        active = sorted(set(active_ids(self.sweep, cluster.queue()).values()))
        cluster.cancel(active)
        return len(active)

    def withdraw(self, jobs: Sequence[Job]) -> None:
        """Jobs that SLURM does not have any more."""
        try:
            active = active_ids(self.sweep, cluster.queue())
        except SweepError:  # SLURM cannot be asked from here
            active = {}
        if active:
            place = shlex.quote(str(self.sweep.directory))
            raise SweepError(
                f"SLURM still has {len(active)} jobs of this sweep: go on with "
                f"hydra/launcher=slurm, or end them first: python -m sanity.sweep cancel {place}"
            )
        self.sweep.withdraw(jobs)


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
