"""Dashboards as code: the W&B workspace in which a project's results are compared.

The same command creates it and brings it up to date: its name follows from the project and sweep.
"""

import json
from typing import Any

import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr
from wandb_workspaces.workspaces import internal

from sanity.core.errors import SanityError, one_line
from sanity.core.files import digest
from sanity.trackers.wandb import run as wandb_run

ACCURACY = wr.SummaryMetric("final/test_accuracy")
PRUNER, CHECK, SPARSITY = wr.Config("pruner"), wr.Config("sanity_check"), wr.Config("sparsity")
MANY = 1000  # runs: a plot that shows ten of a sweep's hundred would mislead


class DashboardError(SanityError):
    """A workspace that could not be saved."""


def workspace(entity: str, project: str, sweep: str | None = None) -> ws.Workspace:
    """The workspace of ``project``; of one ``sweep`` alone where it is named. Needs no network."""
    # Tickets and dense networks, without the rounds before the last; of one sweep or of all.
    stages = expr.Config("stage").isin(["train_ticket", "train_dense"])
    of_sweep = [] if sweep is None else [expr.Metric("Group") == sweep]
    found = ws.Workspace(
        entity=entity,
        project=project,
        name="Sanity checks" if sweep is None else f"Sanity checks: {sweep}",
        sections=[
            ws.Section(name="Do tickets need what they keep?", panels=_checks(), is_open=True),
            ws.Section(name="Accuracy against sparsity", panels=_sparsity(), is_open=True),
            ws.Section(name="Training", panels=_training(), is_open=True),
            ws.Section(name="Layers", panels=_layers(), is_open=True),
            ws.Section(name="Settings", panels=_settings(), is_open=True),
        ],
        settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(stages, *of_sweep),
            groupby=[expr.Config("pruner"), expr.Config("sanity_check")],
            pinned_columns=[
                "run:displayName",
                *("config:pruner.value", "config:ratio.value", "config:sanity_check.value"),
                *("config:sparsity.value", "config:seed.value", "summary:final/test_accuracy"),
            ],
        ),
    )
    slug = f"sanity{digest([entity, project, sweep])[:10]}"
    found._internal_name = internal._url_query_str_to_internal_name(slug)
    return found


def specification(entity: str, project: str, sweep: str | None = None) -> dict[str, Any]:
    """What would be sent to W&B, as JSON values."""
    view = workspace(entity, project, sweep)._to_model()
    spec = json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))
    return {
        "entity": view.entity,
        "project": view.project,
        "name": view.name,
        "displayName": view.display_name,
        "spec": spec,
    }


def save(entity: str | None, project: str, sweep: str | None = None) -> str:
    """Create the workspace, or replace it by this version of it; returns its address.

    Raises DashboardError where the server does not let it.
    """
    try:
        wandb.setup(wandb.Settings(silent=True))
        owner = entity or wandb.Api().default_entity
        if owner is None:
            raise DashboardError("tracker.wandb.entity=null: your account has no default; name one")
        view = workspace(owner, project, sweep)
        view._internal_id = _existing(owner, project, view._internal_name)
        return str(view.save().url)
    except DashboardError:
        raise
    except Exception as error:  # requests', wandb's and the workspace package's own kinds
        raise DashboardError(f"W&B did not take the workspace: {one_line(error)}") from error


def _existing(entity: str, project: str, name: str) -> str:
    """The id of the workspace that was saved under this name; empty where there is none."""
    try:
        return internal.View.from_name(entity, project, name).id
    except ValueError as error:
        if "Workspace" not in str(error):
            raise
        return ""


def _checks() -> list[Any]:
    return [
        _bars("Each method, as found and under each check", wr.Config("arm"), 0, 24),
        _bars("Each check, over all methods", CHECK, 0, 12),
        _bars("Each pruner, over all checks", PRUNER, 12, 12),
    ]


def _bars(title: str, groupby: wr.Config, x: int, width: int) -> wr.BarPlot:
    return wr.BarPlot(
        title=f"{title} (mean, standard error)",
        metrics=[ACCURACY],
        orientation="v",
        groupby=groupby,
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
        max_runs_to_show=MANY,
        max_bars_to_show=50,
        title_y="test accuracy (%)",
        layout=wr.Layout(x=x, w=width, h=8),
    )


def _sparsity() -> list[Any]:
    return [
        wr.LinePlot(
            title="Accuracy against sparsity, each pruner (mean, range of seeds)",
            x=wr.Metric(wandb_run.SPARSITY),
            y=[wr.Metric(wandb_run.ACCURACY)],
            groupby=PRUNER,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            max_runs_to_show=MANY,
            title_x="share of weights removed",
            title_y="test accuracy (%)",
            layout=wr.Layout(w=12, h=8),
        ),
        wr.ScatterPlot(
            title="Every run: accuracy against sparsity",
            x=SPARSITY,
            y=ACCURACY,
            layout=wr.Layout(x=12, w=12, h=8),
        ),
    ]


def _training() -> list[Any]:
    names = {"test_accuracy": "test accuracy (%)", "train_loss": "training loss (nats)"}
    return [
        wr.LinePlot(
            title=f"{label}, by check (mean, standard error)",
            x=wr.Metric("epoch"),
            y=[wr.Metric(name)],
            groupby=CHECK,
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
            max_runs_to_show=MANY,
            title_x="epoch",
            title_y=label,
            layout=wr.Layout(x=12 * index, w=12, h=8),
        )
        for index, (name, label) in enumerate(names.items())
    ]


def _layers() -> list[Any]:
    return [
        wr.LinePlot(
            title="Density of each layer, by pruner (mean, range of runs)",
            x=wr.Metric(wandb_run.LAYER),
            y=[wr.Metric(wandb_run.DENSITY)],
            groupby=PRUNER,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            max_runs_to_show=MANY,
            log_y=True,
            title_x="layer, from input to output",
            title_y="share of weights kept",
            layout=wr.Layout(w=24, h=8),
        )
    ]


def _settings() -> list[Any]:
    columns: dict[str, Any] = {
        "pruner": PRUNER,
        "ratio": wr.Config("ratio"),
        "rewind": wr.Config("rewind"),
        "check": CHECK,
        "sparsity": SPARSITY,
        "seed": wr.Config("seed"),
        "test accuracy (%)": ACCURACY,
    }
    return [
        wr.ParallelCoordinatesPlot(
            title="From settings to accuracy",
            columns=[
                wr.ParallelCoordinatesPlotColumn(metric=metric, display_name=name)
                for name, metric in columns.items()
            ],
            layout=wr.Layout(w=24, h=9),
        )
    ]
