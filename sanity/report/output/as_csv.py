"""``results.csv``: a row a run, done or not, for whoever computes on."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd

from sanity.core.config import CHOSEN
from sanity.report.data import sameness
from sanity.report.data.fields import COSTS
from sanity.report.data.grouping import flatten
from sanity.report.data.runs import Run
from sanity.report.report import Report


def frame(report: Report) -> pd.DataFrame:
    """A row a run: where, how it ended, choices, sparsity, seed, settings that vary, metrics."""
    varied, uncompared = _varied(report.runs), _uncompared(report)
    rows: list[dict[str, Any]] = [
        _row(run, varied, [*run.remarks, *uncompared[run.directory]]) for run in report.runs
    ]
    rows += [
        {"directory": str(one.directory), "status": one.word, "reason": one.why}
        for one in report.absent
    ]
    first = ["directory", "status", "reason", "sweep", *CHOSEN, "sparsity", "seed"]
    found = pd.DataFrame(rows)
    found = found.reindex(columns=[*first, *found.columns.drop(first, errors="ignore")])
    # Runs without a result have no counts, which would make floats of the others'.
    whole = [name for name in ("seed", "kept", "total", *COSTS) if name in found]
    return found.astype(dict.fromkeys(whole, "Int64")).map(_inert)


def _inert(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula, as text."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def _uncompared(report: Report) -> dict[Path, list[str]]:
    """Why a run was not compared with the tickets that it stands against, by its directory."""
    found: dict[Path, list[str]] = defaultdict(list)
    for one in report.questions:
        if one.judgement.why.startswith(sameness.NOT_COMPARED):
            for run in one.changed.runs.values():
                found[run.directory].append(f"{one.cell.label}, {one.label}: {one.judgement.why}")
    return found


def _row(run: Run, varied: list[str], said: list[str]) -> dict[str, Any]:
    ticket = run.ticket or {}
    settings = flatten(run.config)
    return {
        "directory": str(run.directory),
        "status": "completed",
        "sweep": run.sweep,
        **run.choices,
        "sparsity": ticket.get("asked") if run.sparsity is None else run.sparsity,
        "seed": run.seed,
        **{name: settings.get(name) for name in varied},
        "ticket_sparsity": ticket.get("sparsity"),
        "kept": ticket.get("kept"),
        "total": ticket.get("total"),
        **{name: ticket.get("footprint", {}).get(name) for name in COSTS},
        **run.metrics,
        "remarks": "; ".join(said),
    }


def _varied(runs: tuple[Run, ...]) -> list[str]:
    """Settings in which runs differ and which no other column says."""
    said = {f"{group}._target_" for group in CHOSEN} | {"ratio.sparsity"}
    settings = [flatten(run.config) for run in runs]
    names = dict.fromkeys(name for one in settings for name in one if name not in said)
    return [name for name in names if len({repr(one.get(name)) for one in settings}) > 1]
