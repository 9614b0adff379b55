"""The commands that make the runs of a report again, one by one."""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from sanity.report.data.grouping import dotted
from sanity.report.data.runs import Run
from sanity.report.report import Report

PLACES = ("hydra.", "sweep.name", "data_dir", "store_dir")  # where, not what


def commands(report: Report) -> list[tuple[str, str]]:
    """(directory, command) of each run; a run that was not started by run.py has no command."""
    planned = {
        sweep.directory_of(job).resolve(): _command(
            job.overrides, sweep.config_dir, sweep.config_name
        )
        for sweep in report.sweeps
        for job in sweep.plan.jobs
    }
    found = []
    for run in report.runs:
        command = planned.get(run.directory.resolve()) or _noted(run)
        if command:
            found.append((run.directory.name, command))
    return found


def _noted(run: Run) -> str | None:
    """The command that Hydra noted beside the run."""
    overrides = _yaml(run.directory / ".hydra" / "overrides.yaml")
    if not isinstance(overrides, list):
        return None
    directory = name = None
    with suppress(KeyError, TypeError):
        hydra = _yaml(run.directory / ".hydra" / "hydra.yaml")["hydra"]
        name = hydra["job"]["config_name"]
        sources = hydra["runtime"]["config_sources"]
        own = (one["path"] for one in sources if one["provider"] == "command-line")
        directory = next(own, None)
    return _command(map(str, overrides), directory, name)


def _command(overrides: Iterable[str], directory: str | None, name: str | None) -> str:
    options = ["--config-dir", str(directory)] if directory else []
    options += ["--config-name", str(name)] if name and name != "config" else []
    kept = [text for text in overrides if not text.lstrip("+~").startswith(PLACES)]
    return shlex.join(["python", "run.py", *options, *kept])


def _yaml(path: Path) -> Any:
    """A YAML file's plain content; None where there is none that can be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception:  # whatever a damaged file makes of a parser; the command is then left out
        return None


def configuration(report: Report) -> list[tuple[str, str, bool]]:
    """(setting, value, whether all runs agree) of everything that the runs were configured with."""
    values: dict[str, dict[str, None]] = {}
    for run in report.runs:
        for name, value in dotted(run.config):
            values.setdefault(name, {})[str(value)] = None
    agreed = {name: len(found) == 1 for name, found in values.items()}
    return [
        (name, _several(list(found)), agreed[name])
        for name, found in sorted(values.items(), key=lambda item: agreed[item[0]])
    ]


def _several(values: list[str], limit: int = 12) -> str:
    more = f", and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(values[:limit]) + more
