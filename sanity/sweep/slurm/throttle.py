"""Keep the number of a sweep's running jobs within its width, stages and jobs together.

SLURM throttles an array, and nothing else. While stages run beside it, the array's throttle is
what they leave of the width. It is set anew by whoever waits for the sweep and, so that it also
works when nobody does, by jobs as they start.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from submitit.helpers import Checkpointable

from sanity.core.errors import SweepError
from sanity.core.files import digest
from sanity.sweep.job import Task
from sanity.sweep.slurm import cluster
from sanity.sweep.slurm.cluster import QueuedJob
from sanity.sweep.slurm.poll import active_ids
from sanity.sweep.sweep import Sweep, read

log = logging.getLogger(__name__)


def lanes(stages: int, width: int | None) -> int:
    """How many of the stages may run side by side: at least one place is left for jobs."""
    return max(1, stages if width is None else min(stages, width - 1))


def rebalance(sweep: Sweep, queue: Mapping[str, QueuedJob], width: int) -> bool:
    """Give the sweep's arrays what its stages leave of ``width``; True where that is all of it."""
    active = active_ids(sweep, queue)
    stages = sum(isinstance(key, str) for key in active)
    left = max(1, width - lanes(stages, width)) if stages else width
    for array in {one.split("_")[0] for one in active.values() if "_" in one}:
        cluster.set_throttle(array, left)
    return not stages


@dataclass(frozen=True)
class Throttled(Checkpointable):
    """A job's task that, when it starts, takes up the room that stages have left."""

    task: Task
    sweep: Path
    width: int

    def __call__(self) -> None:
        """Set the sweep's throttle, which is no reason to fail, and run the job."""
        try:
            sweep = read(self.sweep)
            stages = digest([key for key in sweep.latest() if isinstance(key, str)])
            done = sweep.cluster_directory / f".unthrottled-{stages[:12]}"
            if not done.exists() and rebalance(sweep, cluster.queue(), self.width):
                done.touch()  # the jobs that follow need not ask
        except SweepError as error:
            log.warning("the sweep's throttle stays as it is: %s", error)
        self.task()
