"""What may be asked of SLURM: the settings of hydra/launcher=slurm, checked before planning."""

from collections.abc import Mapping
from typing import Any

from sanity.errors import ConfigError

WHOLE = {
    **dict.fromkeys(("timeout_min", "cpus_per_task", "nodes", "tasks_per_node"), 1),
    **dict.fromkeys(("array_parallelism", "max_submit"), 1),
    **dict.fromkeys(("gpus_per_node", "gpus_per_task", "cpus_per_gpu"), 0),
    **dict.fromkeys(("max_num_timeout", "signal_delay_s"), 0),
}
"""Settings that are whole numbers, and the least that each may be."""

NEEDED = ("timeout_min", "max_num_timeout", "signal_delay_s")


def check(settings: Mapping[str, Any], prefix: str = "hydra.launcher") -> None:
    """Raise ConfigError for the first setting that nothing can be asked by."""
    for name, value in settings.items():
        label = f"{prefix}.{name}={value}"
        if name in WHOLE:
            _check_whole(label, value, WHOLE[name], null=name not in NEEDED)
        elif name == "mem_gb" and value is not None and not (_is_number(value) and value > 0):
            raise ConfigError(f"{label}: must be a number of GB, or null")
        elif name == "wait" and not isinstance(value, bool):
            raise ConfigError(f"{label}: must be true or false")
        elif name == "setup" and value is not None and not _is_texts(value):
            raise ConfigError(f'{label}: must be a list of shell lines, e.g. ["module load cuda"]')
        elif name == "additional_parameters" and not isinstance(value, Mapping | None):
            raise ConfigError(f"{label}: must map options of sbatch to values, e.g. {{nice: 100}}")
        elif name == "stage":
            if not isinstance(value, Mapping | None):
                raise ConfigError(f"{label}: must map settings to values, e.g. {{mem_gb: 32}}")
            check(value or {}, f"{prefix}.stage")


def _check_whole(label: str, value: Any, least: int, *, null: bool) -> None:
    if value is None and null:
        return
    if not _is_number(value) or value % 1 != 0 or value < least:
        raise ConfigError(f"{label}: must be {least} or more{', or null' if null else ''}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)
