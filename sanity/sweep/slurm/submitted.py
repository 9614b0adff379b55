"""What a job of the cluster runs: ``python -m sanity.sweep.slurm.submitted FOLDER``.

submitit's own entry takes ``%j`` and the like for patterns wherever they stand, in the names of
directories too. Its handling of signals (a time limit, preemption) is what is used here.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PATIENCE = 60  # seconds that a task may take to be seen: it is named after sbatch has answered


def task_file(folder: Path, identifier: str) -> Path:
    """Where the pickled task of a job lies."""
    return folder / f"{identifier}_submitted.pkl"


def log_file(folder: Path, identifier: str) -> Path:
    """Where a job's log is, or will be."""
    return folder / f"{identifier}_0_log.out"


def main(folder: Path) -> None:
    """Run the task of the job that this process is in; raises what it raises."""
    from submitit.core.logger import get_logger
    from submitit.core.utils import DelayedSubmission
    from submitit.slurm.slurm import SlurmJobEnvironment

    job = SlurmJobEnvironment()
    get_logger().info("Starting with %s", job)
    path = task_file(folder, job.job_id)
    deadline = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(1.0)
    submission = DelayedSubmission.load(path)
    paths: Any = SimpleNamespace(submitted_pickle=path)  # where a job that is requeued is pickled
    job._handle_signals(paths, submission)
    submission.result()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
