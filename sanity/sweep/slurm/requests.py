"""What may be asked of SLURM: the settings of hydra/launcher=slurm, checked before planning."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sanity.core.errors import ConfigError, as_line

WHOLE = {
    **dict.fromkeys(("timeout_min", "cpus_per_task", "array_parallelism", "max_submit"), 1),
    **dict.fromkeys(("gpus_per_node", "gpus_per_task", "cpus_per_gpu"), 0),
    **dict.fromkeys(("max_num_timeout", "signal_delay_s"), 0),
}
"""Settings that are whole numbers, and the least that each may be."""

NEEDED = ("timeout_min", "max_num_timeout", "signal_delay_s")

ONE = ("nodes", "ntasks", "ntasks-per-node", "tasks-per-node")
"""What a job has one of: it is one process, which another would only repeat."""

OF_THE_SWEEP = ("array", "job-name", "output", "error", "open-mode", "signal", "wait", "wrap")
"""Options of sbatch by which the sweep finds its jobs again, ends and collects them."""

OURS = ("wait", "stage", "array_parallelism", "max_submit", "max_num_timeout")
"""Settings that are not sbatch's, nor submitit's to hand on."""

MEANINGFUL = re.compile(r"[\\:]")
"""What is more than a letter in a directory's name: to SLURM, and in PYTHONPATH."""


def validate(settings: Mapping[str, Any], prefix: str = "hydra.launcher") -> None:
    """Raise ConfigError for the first setting that nothing can be asked by."""
    for name, value in settings.items():
        label = f"{prefix}.{name}={value}"
        if name.replace("_", "-") in ONE:
            _check_one(label, value)
        elif name in WHOLE:
            least, or_null = WHOLE[name], "" if name in NEEDED else ", or null"
            fits = _is_number(value) and value % 1 == 0 and value >= least
            _require(fits or bool(value is None and or_null), label, f"be {least} or more{or_null}")
        elif name == "mem_gb":
            fits = value is None or (_is_number(value) and value > 0)
            _require(fits, label, "be a number of GB, or null")
        elif name == "wait":
            _require(isinstance(value, bool), label, "be true or false")
        elif name == "setup":
            texts = isinstance(value, list) and all(isinstance(line, str) for line in value)
            what = 'be a list of shell lines, e.g. ["module load cuda"]'
            _require(value is None or texts, label, what)
        elif name == "additional_parameters":
            what = "map options of sbatch to values, e.g. {nice: 100}"
            _require(isinstance(value, Mapping | None), label, what)
            _check_options(f"{prefix}.{name}", value or {})
        elif name == "stage":
            what = "map settings to values, e.g. {mem_gb: 32}"
            _require(isinstance(value, Mapping | None), label, what)
            validate(value or {}, f"{prefix}.stage")


def validate_directory(directory: Path) -> None:
    """Raise ConfigError for a sweep's directory that SLURM or submitit would take for another."""
    name = str(directory)
    if (found := MEANINGFUL.search(name)) or not name.isprintable():
        raise ConfigError(
            f"hydra.sweep.dir={as_line(name)}: must not contain "
            f"{found[0] if found else 'control characters'} with hydra/launcher=slurm, "
            "where that is more than a part of a name; choose another directory"
        )


def _check_options(label: str, options: Mapping[str, Any]) -> None:
    """The same for options of sbatch, given by their own names."""
    for name, value in options.items():
        option = str(name).replace("_", "-")
        if option in OF_THE_SWEEP:
            raise ConfigError(f"{label}.{name}={value}: is the sweep's own to set; leave it out")
        if option in ONE:
            _check_one(f"{label}.{name}={value}", value)
        what = "be a text, a number or true; several names are one text, as in "
        what += "{export: 'HOME,PATH'}"
        fits = value is True or _is_number(value) or isinstance(value, str)
        _require(fits, f"{label}.{name}={value}", what)
        one_line = not isinstance(value, str) or value.isprintable()
        _require(one_line, f"{label}.{name}={as_line(value)}", "be one line")


def _check_one(label: str, value: Any) -> None:
    _require(value in (None, 1), label, "be 1; a job is one process, which others would repeat")


def _require(fits: bool, label: str, what: str) -> None:
    if not fits:
        raise ConfigError(f"{label}: must {what}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
