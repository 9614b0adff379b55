"""Submit tasks to SLURM, and tell a full cluster from one that refuses what is asked of it.

submitit writes the script. sbatch is called here, for two reasons: what it prints may be in any
encoding, and its options are given on the command line, where they win over variables such as
SBATCH_TIMELIMIT (which win over those in a script).
"""

import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sanity.core.errors import SweepError, as_line
from sanity.sweep.slurm import cluster, submitted

FULL = re.compile(
    r"Max\w*Submit|Grp\w*Submit|SubmitJob|job submit limit|temporarily un|MaxJobCount",
    re.IGNORECASE,
)
"""What sbatch says where no more jobs are accepted for now; time and memory have limits too."""

STEP = ("--export=ALL", "--nodes=1", "--ntasks=1", "--output=all")
"""How srun starts a job's process: once, with what the script has set, and with its log."""

OPTION = "#SBATCH "

OF_SETTINGS = ("SANITY_", "WANDB_")  # variables that the configuration and trackers read


class Full(Exception):  # noqa: N818 - a state of the cluster, not an error
    """The cluster accepts no more jobs of this user for now."""


def sbatch(
    folder: Path, tasks: Sequence[Any], parameters: Mapping[str, Any], max_num_timeout: int
) -> list[str]:
    """Submit a job, or an array where there are several tasks; returns their ids.

    ``parameters`` are submitit's; scripts, pickled tasks and logs lie in ``folder``. Raises Full,
    or SweepError for what sbatch refuses.
    """
    from submitit.core.utils import DelayedSubmission

    executor = _executor(folder, parameters, len(tasks))
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing is left of what is not submitted; what is must not fail for want of tidiness.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", ignore_cleanup_errors=True) as place:
        script = Path(place, "job.sh")
        pickles = [Path(place, f"{n}.pkl") for n in range(len(tasks))]
        for task, path in zip(tasks, pickles, strict=True):
            submission = DelayedSubmission(task)
            submission.set_timeout(executor.parameters["time"], max_num_timeout)
            submission.dump(path)
        command = f"{executor.python} -u -m {submitted.__name__} {shlex.quote(str(folder))}"
        text = executor._make_submission_file_text(command, "")
        script.write_text(text, encoding="utf-8")
        main = _submit(script, options_of(text))
        ids = [main] if len(tasks) == 1 else [f"{main}_{n}" for n in range(len(tasks))]
        for path, one in zip(pickles, ids, strict=True):
            path.rename(submitted.task_file(folder, one))
        script.rename(folder / f"{main}_submission.sh")
    return ids


def exported(wanted: str | None, variables: Mapping[str, str]) -> str | None:
    """sbatch's ``--export`` as ``wanted``, and with it the variables that our own settings read.

    Without them a job would be configured otherwise than the command that submitted it.
    """
    names = sorted(name for name in variables if name.startswith(OF_SETTINGS))
    if wanted is None or not names or wanted.upper().startswith("ALL"):
        return wanted
    return ",".join([*([] if wanted.upper() in ("NONE", "NIL") else [wanted]), *names])


def options_of(script: str) -> list[str]:
    """The options that stand in a script, as they are given on the command line."""
    lines = [line for line in script.splitlines() if line.startswith(OPTION)]
    return [option for line in lines for option in shlex.split(line.removeprefix(OPTION))]


def _executor(folder: Path, parameters: Mapping[str, Any], tasks: int) -> Any:
    """submitit's executor, with its own names for ``parameters``; raises SweepError."""
    import submitit

    # In the name of a log % begins a pattern, %% stands for itself.
    place = Path(str(folder).replace("%", "%%"))
    pattern = submitted.log_file(place, "%j" if tasks == 1 else "%A_%a")
    options = {**(parameters.get("slurm_additional_parameters") or {}), "output": pattern}
    variables = cluster.environment(os.environ)
    wanted = exported(options.get("export", variables.get("SBATCH_EXPORT")), variables)
    options |= {} if wanted is None else {"export": wanted}
    step = list(STEP)
    if (cpus := parameters.get("cpus_per_task")) is not None:
        step.append(f"--cpus-per-task={int(cpus)}")  # which srun does not take from the job
    try:
        found = submitit.AutoExecutor(folder, cluster="slurm")
        found.update_parameters(
            **{**parameters, "slurm_additional_parameters": options},
            stderr_to_stdout=True,
            slurm_srun_args=step,
        )
    except (ValueError, NameError, TypeError) as error:
        # Of several lines, the first says what is wrong; the others list what is allowed.
        reason = str(error).splitlines()[0].replace("slurm_", "")
        raise SweepError(f"hydra/launcher=slurm: {reason}") from None
    executor = found._executor
    if tasks > 1:
        executor.parameters["map_count"] = tasks
    return executor


def _submit(script: Path, options: Sequence[str]) -> str:
    """The id that sbatch gives the script's job, or array."""
    code, output, errors = cluster.call("sbatch", "--parsable", *options, str(script))
    if code == 0 and (match := re.match(r"\d+", output)):
        return match[0]
    lines = (errors or output).splitlines()
    own = [line for line in lines if "sbatch:" in line or "error" in line.lower()]
    reason = as_line((own or lines or ["sbatch failed"])[-1])
    if FULL.search(errors):
        raise Full(reason)
    raise SweepError(f"hydra/launcher=slurm: {reason}")
