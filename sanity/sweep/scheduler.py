"""Where the jobs of a sweep run: start, finish, poll, cancel, withdraw.

A job's number or a shared stage's key is what a scheduler is asked about, its *subject*.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sanity.sweep.pace import Capacity
    from sanity.sweep.plan import Job
    from sanity.sweep.states import State
    from sanity.sweep.sweep import Sweep

Subject = int | str

NO_RECORD = "ended without a record"


@dataclass(frozen=True)
class Active:
    """A submitted job that has not ended: it runs, or waits, and ``why`` says for what.

    ``for_stage``: for a shared stage of its sweep; ``is_ordinary``: the wait ends by itself.
    """

    runs: bool
    why: str = ""
    for_stage: bool = False
    is_ordinary: bool = True


@dataclass(frozen=True)
class Poll:
    """What a scheduler knows of a sweep at one moment.

    ``submitted`` is what it ever had of it, ``active`` what of that has not ended. ``why_ended``
    says how the rest did, ``log`` where to look. ``unknown`` is why it cannot be asked, where it
    cannot.
    """

    submitted: Collection[Subject] = ()
    active: Mapping[Subject, Active] = field(default_factory=dict)
    why_ended: Callable[[Subject], str] = lambda subject: NO_RECORD
    log: Callable[[Subject], Path | None] = lambda subject: None
    unknown: str = ""


@dataclass(frozen=True)
class Request:
    """What jobs are to run on: the launcher's ``settings``, and the ``capacity`` that they make.

    ``device`` is the setting of this name, as all jobs share it; ``table`` is what to show above
    the bar of progress, if anything.
    """

    capacity: "Capacity"
    device: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    table: "Callable[[], RenderableType] | None" = None


class Scheduler(ABC):
    """Runs the jobs of one sweep somewhere, and looks after them, whoever has started them."""

    def __init__(self, sweep: "Sweep") -> None:
        self.sweep = sweep

    @abstractmethod
    def start(self, jobs: "Sequence[Job]", request: Request) -> None:
        """Run ``jobs``, or have them run; called by one process at a time."""

    @abstractmethod
    def finish(self) -> "Sequence[State] | None":
        """How the sweep's jobs stand when all have ended; None where nobody is to wait for them.

        After :meth:`start`, by whoever called it.
        """

    @abstractmethod
    def poll(self) -> Poll:
        """How things stand now; what cannot be asked is said and no error."""

    @abstractmethod
    def cancel(self) -> int:
        """End all jobs that have not ended; how many those were."""

    @abstractmethod
    def withdraw(self, jobs: "Sequence[Job]") -> None:
        """Let ``jobs`` run elsewhere; raises SweepError where it still has any of the sweep's."""


class Local(Scheduler):
    """Processes of this machine: they hold locks and leave records, and no more is to be asked."""

    def start(self, jobs: "Sequence[Job]", request: Request) -> None:
        """Run ``jobs``; each has the threads and the device that are its share of the machine."""
        from sanity.sweep import local
        from sanity.sweep.forecast import forecast
        from sanity.sweep.progress import progress

        capacity, total = request.capacity, len(self.sweep.plan.jobs)
        assert capacity.workers is not None
        of(self.sweep).withdraw(jobs)
        ahead = forecast(self.sweep, jobs, capacity)
        with progress(ahead, total, total - len(jobs), request.table) as bar:
            devices = local.devices() if request.device == "auto" else []
            local.run_jobs(self.sweep, jobs, min(capacity.workers, len(jobs)), devices, bar)

    def finish(self) -> "Sequence[State]":
        """All have ended."""
        from sanity.sweep.states import look

        return look(self.sweep)

    def poll(self) -> Poll:
        """Nothing that their files do not tell."""
        return Poll()

    def cancel(self) -> int:
        """They end with the command that started them."""
        return 0

    def withdraw(self, jobs: "Sequence[Job]") -> None:
        """There is nothing to take back."""


def of(sweep: "Sweep") -> Scheduler:
    """Who has jobs of the sweep: a cluster where any were submitted."""
    if not sweep.submitted():
        return Local(sweep)
    from sanity.sweep.slurm.scheduler import Slurm

    return Slurm(sweep)
