"""What is read from disks: all that is there, nothing that is not, and what is wrong is named."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import simulated
from filelock import FileLock
from simulated import Arm

from sanity.core.errors import SanityError
from sanity.report.data.collect import collect
from sanity.report.data.runs import Absent, Run, epochs, read


def written(directory: Path, content: Any) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "record.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_record_says_everything(tmp_path: Path) -> None:
    arm = Arm(pruner="snip", check="rearrange", seed=7, accuracy=91.5)
    run = read(written(tmp_path, simulated.record(arm, sweep="mine-1")))
    assert isinstance(run, Run)
    assert (run.seed, run.accuracy, run.sparsity, run.sweep) == (7, 91.5, 0.98, "mine-1")
    assert run.choices["pruner"] == "snip"
    assert run.effect == {"positions_moved": 97, "positions": 100}
    assert run.criteria.margin == 0.5


def test_the_sparsity_of_a_mask_that_came_with_its_own_is_that_of_the_mask(tmp_path: Path) -> None:
    content = simulated.record(Arm())
    content["config"]["ratio"]["sparsity"] = None
    run = read(written(tmp_path, content))
    assert isinstance(run, Run)
    assert run.sparsity is None
    assert run.found_sparsity == content["ticket"]["sparsity"]


DAMAGE: dict[str, tuple[Any, str]] = {
    "torn": ('{"schema": 1, "status": "comp', "is damaged"),
    "no json": ("<html>", "is damaged"),
    "a list": ("[1, 2]", "is no record of a run"),
    "another schema": (simulated.record(Arm(), schema=1), "has schema 1; this version reads 2"),
    "no choices": (
        {k: v for k, v in simulated.record(Arm()).items() if k != "choices"},
        "it has no 'choices'",
    ),
    "no metrics": (simulated.record(Arm(), metrics=None), "is damaged"),
    "a word for a number": (
        simulated.record(Arm(), metrics={"test_accuracy": "good"}),
        "metrics.test_accuracy is good",
    ),
    "not a number": (
        json.dumps(simulated.record(Arm())).replace("97.0", "NaN"),
        "metrics.test_accuracy is nan",
    ),
    "no seed": (simulated.record(Arm(), seed="x"), "seed is x"),
    "impossible layers": (
        simulated.record(
            Arm(),
            ticket={
                "sparsity": 0.5,
                "kept": 2,
                "total": 1,
                "layers": [{"name": "a", "total": 1, "kept": 2}],
            },
        ),
        "counts that no layer can have",
    ),
    "a wrong margin": (
        simulated.record(
            Arm(), config={**simulated.record(Arm())["config"], "verdict": {"margin": -1}}
        ),
        "verdict.margin=-1",
    ),
    "a group that is none": (
        simulated.record(Arm(), config={**simulated.record(Arm())["config"], "rewind": "init"}),
        "config.rewind is init",
    ),
    "a number of 400 digits": (
        simulated.record(Arm(), metrics={"test_accuracy": 10**400}),
        "is damaged",
    ),
    "more than all": (
        simulated.record(Arm(), metrics={"test_accuracy": 1e308}),
        "metrics.test_accuracy is 1e+308",
    ),
    "infinite counts": (
        json.dumps(simulated.record(Arm())).replace('"kept": ', '"kept": 1e999, "was": '),
        "is damaged",
    ),
    "a seed that is too large": (simulated.record(Arm(), seed=10**30), "seed is 1000"),
    "deeply nested": ("[" * 100_000, "is damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_named_with_what_is_wrong(name: str, tmp_path: Path) -> None:
    content, message = DAMAGE[name]
    path = written(tmp_path, content)
    with pytest.raises(SanityError, match=re.escape(message)) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_damaged_does_not_keep_the_rest_from_being_read(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm(seed=seed) for seed in range(3)])
    written(tmp_path / "broken", "{")
    found = collect([tmp_path])
    assert len(found.runs) == 3
    (line,) = found.unreadable
    assert "broken/record.json: is damaged" in line


def test_places_may_overlap_nest_and_be_records_themselves(tmp_path: Path) -> None:
    simulated.write(tmp_path / "a" / "b", [Arm(seed=0), Arm(seed=1)])
    one = next((tmp_path / "a" / "b").iterdir())
    found = collect([tmp_path, tmp_path / "a", one, one / "record.json"])
    assert len(found.runs) == 2


def test_jobs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm(seed=seed) for seed in range(12)])
    assert [run.seed for run in collect([tmp_path]).runs] == list(range(12))


def test_a_place_without_runs_is_named(tmp_path: Path) -> None:
    with pytest.raises(SanityError, match="has no run or sweep in it or below"):
        collect([tmp_path])
    with pytest.raises(SanityError, match="nowhere: has no run"):
        collect([tmp_path / "nowhere"])


def test_failed_running_and_stopped_runs_are_told_apart(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm()])
    failed = simulated.record(Arm(), status="failed", reason="the loss is no number")
    written(tmp_path / "failed", failed)
    for name in ("running", "stopped"):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        for file in ("metrics.jsonl", ".lock"):
            (tmp_path / name / file).touch()
    with FileLock(tmp_path / "running" / ".lock"):
        found = {one.directory.name: one for one in collect([tmp_path]).absent}
    assert found["failed"].why == "the loss is no number"
    assert found["running"].word == "running"
    assert found["stopped"] == Absent(
        tmp_path / "stopped", "missing", "was stopped before it had ended"
    )
    assert len(found) == 3


def test_a_run_without_an_epoch_yet_is_there(tmp_path: Path) -> None:
    (tmp_path / "young" / ".hydra").mkdir(parents=True)
    (tmp_path / "young" / ".lock").touch()
    (one,) = collect([tmp_path]).absent
    assert one.word == "missing"


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated.write(tmp_path, [Arm(seed=0)])
    simulated.write(tmp_path / "secret", [Arm(seed=1)])
    scan = os.scandir

    def guarded(path: str) -> Any:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = collect([tmp_path])
    assert len(found.runs) == 1
    (line,) = found.unreadable
    assert line == f"{tmp_path / 'secret'}: cannot be read (Permission denied)"


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    simulated.write(tmp_path / "elsewhere", [Arm()])
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    assert len(collect([tmp_path / "here"]).runs) == 1
    assert len(collect([tmp_path]).runs) == 1


def test_a_line_of_metrics_that_is_wrong_costs_the_line_or_the_curve(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm()], epochs=2)
    (run,) = collect([tmp_path]).runs
    with (run.directory / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "train_ticket", "epoch": null, "test_accuracy": 9}\n')
    assert len(epochs(run, "train_ticket")) == 2
    with (run.directory / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "train_ticket", "test_accuracy": 9}\n')
    assert epochs(run, "train_ticket") == []


def test_epochs_are_those_of_the_stage_and_a_torn_line_costs_the_curve(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm()], epochs=4)
    (run,) = collect([tmp_path]).runs
    assert [one["epoch"] for one in epochs(run, "train_ticket")] == [0, 1, 2, 3]
    assert epochs(run, "train_dense") == []
    with (run.directory / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "train_ticket", "ep')
    assert epochs(run, "train_ticket") == []
