"""Submit tasks by submitit, and tell a full cluster from one that refuses what is asked of it."""

import contextlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sanity.errors import SweepError

FULL = re.compile(
    r"Max\w*Submit|Grp\w*Submit|SubmitJob|job submit limit|temporarily un|MaxJobCount",
    re.IGNORECASE,
)
"""What sbatch says where no more jobs are accepted for now; time and memory have limits too."""


class Full(Exception):  # noqa: N818 - a state of the cluster, not an error
    """The cluster accepts no more jobs of this user for now."""


def sbatch(
    folder: Path, tasks: Sequence[Any], parameters: Mapping[str, Any], max_num_timeout: int
) -> list[str]:
    """Submit a job, or an array where there are several tasks; returns their ids.

    ``parameters`` are submitit's. Raises Full, or SweepError for what sbatch refuses.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        executor = submitit.AutoExecutor(
            folder, cluster="slurm", slurm_max_num_timeout=max_num_timeout
        )
        executor.update_parameters(
            **parameters,
            stderr_to_stdout=True,
            # A requeued job goes on with its log; srun would begin it anew.
            slurm_srun_args=["--open-mode=append"],
        )
        # submitit prints sbatch's complaint besides raising it.
        with contextlib.redirect_stderr(io.StringIO()), executor.batch():
            jobs = [executor.submit(task) for task in tasks]
    except (FailedJobError, FailedSubmissionError) as error:
        reason = _reason(str(error))
        if FULL.search(str(error)):
            raise Full(reason) from None
        raise SweepError(f"hydra/launcher=slurm: {reason}") from None
    except (ValueError, NameError, TypeError) as error:
        # Of several lines, the first says what is wrong; the others list what is allowed.
        reason = str(error).splitlines()[0].replace("slurm_", "")
        raise SweepError(f"hydra/launcher=slurm: {reason}") from None
    return [job.job_id for job in jobs]


def _reason(message: str) -> str:
    """sbatch's own line of what submitit says of it."""
    lines = [line for line in message.splitlines() if "sbatch:" in line or "error" in line.lower()]
    return (lines or message.splitlines() or ["sbatch failed"])[-1].strip()
