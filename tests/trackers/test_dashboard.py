"""The W&B workspace: its specification, and how it is created and brought up to date."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
from tracking import environment
from wandb_stub import ENTITY, Stub, served

from sanity.core.config import PROJECT
from sanity.trackers.wandb.dashboard import specification


@pytest.fixture
def server() -> Iterator[Stub]:
    with served(Stub()) as stub:
        yield stub
        assert stub.unknown == []


def trackers(place: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sanity.trackers", *arguments]
    return processes.run(command, PROJECT, environment(place, **more))


def panels(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The panels of all sections by title, with their kind."""
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    found = [panel for section in sections for panel in section["panels"]]
    return {_title(one["config"]): {"kind": one["viewType"], **one["config"]} for one in found}


def _title(config: dict[str, Any]) -> str:
    return str(config.get("chartTitle") or config.get("title") or config.get("customTitle"))


def named(view: dict[str, Any], start: str) -> dict[str, Any]:
    (found,) = (panel for title, panel in panels(view).items() if title.startswith(start))
    return found


def test_the_panels_answer_the_questions_of_a_sweep() -> None:
    view = specification("me", "mine")
    bars = named(view, "Each method, as found and under each check")
    assert bars["kind"] == "Bar Chart"
    assert bars["metrics"] == ["summary_metrics.final/test_accuracy"]
    assert (bars["groupBy"], bars["groupAgg"], bars["groupArea"]) == ("arm.value", "mean", "stderr")
    assert named(view, "Each check")["groupBy"] == "sanity_check.value"
    sparsity = named(view, "Accuracy against sparsity")
    assert sparsity["kind"] == "Run History Line Plot"
    assert sparsity["xAxis"] == "vs_sparsity/sparsity"
    assert sparsity["metrics"] == ["vs_sparsity/test_accuracy"]
    assert (sparsity["groupBy"], sparsity["groupArea"]) == ("pruner.value", "minmax")
    scatter = named(view, "Every run")
    assert scatter["kind"] == "Scatter Plot"
    assert (scatter["xAxis"], scatter["yAxis"]) == (
        "config:sparsity.value",
        "summary:final/test_accuracy",
    )
    training = named(view, "test accuracy (%), by check")
    assert (training["xAxis"], training["metrics"]) == ("epoch", ["test_accuracy"])
    assert training["groupBy"] == "sanity_check.value"
    layers = named(view, "Density of each layer")
    assert (layers["xAxis"], layers["metrics"]) == ("vs_layer/layer", ["vs_layer/density"])
    assert layers["groupBy"] == "pruner.value"
    axes = [one["accessor"] for one in named(view, "From settings to accuracy")["columns"]]
    assert axes[0] == "c::pruner.value" or axes[0].endswith("pruner.value")
    assert axes[-1].endswith("final/test_accuracy")


def test_filters_are_on_stage_and_sweep() -> None:
    everything = json.dumps(specification("me", "mine")["spec"]["section"]["runSets"])
    one = json.dumps(specification("me", "mine", "quickstart-123456")["spec"]["section"]["runSets"])
    assert "train_ticket" in everything
    assert "quickstart-123456" not in everything
    assert "train_ticket" in one
    assert "quickstart-123456" in one


def test_what_panels_ask_for_is_what_runs_log() -> None:
    from sanity.trackers.wandb.run import ACCURACY, BY_EPOCH, DENSITY, LAYER, SPARSITY

    logged = {"epoch", LAYER, DENSITY, SPARSITY, ACCURACY}
    for panel in panels(specification("me", "mine")).values():
        if panel["kind"] == "Run History Line Plot":
            assert {panel["xAxis"], *panel["metrics"]} <= logged | set(BY_EPOCH)


def test_it_is_printed_without_a_network(tmp_path: Path) -> None:
    done = trackers(
        tmp_path,
        *("dashboard", "--print", "--sweep", "mine-1", "tracker.wandb.project=p"),
        WANDB_BASE_URL="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["project"], found["displayName"]) == ("p", "Sanity checks: mine-1")
    assert len(panels(found)) == 9


def test_it_is_created_once_and_then_brought_up_to_date(tmp_path: Path, server: Stub) -> None:
    for _ in range(2):
        done = trackers(tmp_path, "dashboard", **server.environment())
        assert done.returncode == 0, done.stderr
        assert f"/{ENTITY}/sanity?nw=" in done.stdout
    assert server.view_saves == 2
    (view,) = server.views.values()
    assert view["displayName"] == "Sanity checks"
    assert view["type"] == "project-view"
    expected = specification(ENTITY, "sanity")
    assert panels({"spec": json.loads(view["spec"])}) == panels(expected)
    trackers(tmp_path, "dashboard", "--sweep", "mine-1", **server.environment())
    assert len(server.views) == 2


def test_a_server_that_refuses_is_one_line(tmp_path: Path, server: Stub) -> None:
    server.status = 401
    done = trackers(tmp_path, "dashboard", **server.environment())
    assert done.returncode == 1
    assert done.stderr.startswith("sanity.trackers: W&B did not take the workspace: ")
    assert len(done.stderr.splitlines()) == 1


def test_other_trackers_have_no_dashboard(tmp_path: Path) -> None:
    done = trackers(tmp_path, "dashboard", "--print", "tracker=tensorboard")
    assert done.returncode == 2
    assert done.stderr == "sanity.trackers: dashboard: is one of W&B's; choose tracker=wandb\n"
