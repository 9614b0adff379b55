"""``results.csv``: a row a run, done or not, for whoever computes on."""

from typing import Any

import pandas as pd

from sanity.report.arrange import flatten
from sanity.report.report import Report
from sanity.report.runs import GROUPS, Run


def frame(report: Report) -> pd.DataFrame:
    """A row a run: where, how it ended, choices, sparsity, seed, settings that vary, metrics."""
    varied = _varied(report.runs)
    rows: list[dict[str, Any]] = [_row(run, varied) for run in report.runs]
    rows += [
        {"directory": str(one.directory), "status": one.word, "reason": one.why}
        for one in report.absent
    ]
    columns = ["directory", "status", "reason", "sweep", *GROUPS, "sparsity", "seed"]
    return pd.DataFrame(rows, columns=_columns(columns, rows))


def _row(run: Run, varied: list[str]) -> dict[str, Any]:
    ticket = run.ticket or {}
    settings = flatten(run.config)
    return {
        "directory": str(run.directory),
        "status": "completed",
        "sweep": run.sweep,
        **run.choices,
        "sparsity": run.sparsity,
        "seed": run.seed,
        **{name: settings.get(name) for name in varied},
        "ticket_sparsity": ticket.get("sparsity"),
        "kept": ticket.get("kept"),
        "total": ticket.get("total"),
        **run.metrics,
    }


def _varied(runs: tuple[Run, ...]) -> list[str]:
    """Settings in which runs differ and which no other column says."""
    said = {f"{group}._target_" for group in GROUPS} | {"ratio.sparsity"}
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in flatten(run.config).items():
            values.setdefault(name, set()).add(repr(value))
    return [name for name, found in values.items() if len(found) > 1 and name not in said]


def _columns(first: list[str], rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
