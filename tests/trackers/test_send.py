"""Finished runs, shown from their records."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import processes
import pytest
from tracking import call, environment, metrics, offline_runs

from sanity.core.config import PROJECT


def send(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sanity.trackers", "send", *arguments]
    return processes.run(command, PROJECT, environment(place))


def test_a_run_without_a_tracker_is_shown_later_and_once(tmp_path: Path) -> None:
    call(tmp_path, "pruner=lt", "sanity_check=rearrange", "tracker=none")
    assert not (tmp_path / "wandb").exists()
    for expected in (2, 2):
        done = send(tmp_path, str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "1 of 1 runs are shown\n"
        assert len(list(tmp_path.glob("wandb/offline-run-*"))) == expected
    first = sorted(path.name for path in tmp_path.glob("wandb/offline-run-*"))
    assert send(tmp_path, str(tmp_path), "--again").returncode == 0
    again = sorted(path.name for path in tmp_path.glob("wandb/offline-run-*"))
    assert len(again) == 2
    assert again != first  # written anew, in place of the others
    told = {run.run["config"]["update"]["stage"]: run for run in offline_runs(tmp_path)}
    for stage, epochs in metrics(tmp_path / "run").items():
        assert told[stage].epochs == epochs


def test_what_was_sent_live_equals_what_is_sent_later(tmp_path: Path) -> None:
    call(tmp_path, "pruner=lt", "sanity_check=random_labels", "sweep.name=mine")
    live = [(run.run["config"], run.rows[-1].keys(), run.epochs) for run in offline_runs(tmp_path)]
    assert send(tmp_path, str(tmp_path / "run" / "record.json"), "--again").returncode == 0
    later = [(run.run["config"], run.rows[-1].keys(), run.epochs) for run in offline_runs(tmp_path)]
    assert live == later


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 1, "nowhere: has no record.json in it or below"),
        (["tracker=none", "."], 2, "tracker=none: shows nothing; choose wandb or tensorboard"),
        (["tracker=wandb"], 2, "send: needs the directory of a run or a sweep"),
        ([".", "tracker=foo"], 2, "tracker=foo: no such option; choose from"),
        ([".", "tracker.wandb.projekt=x"], 2, "tracker.wandb.projekt: no such setting (did you"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = send(tmp_path, *arguments)
    assert done.returncode == code
    assert done.stderr.startswith(f"sanity.trackers: {message}")
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_record_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    call(tmp_path, "pruner=random", "tracker=none")
    broken = tmp_path / "zz" / "record.json"
    broken.parent.mkdir()
    broken.write_text("{")
    done = send(tmp_path, str(tmp_path))
    assert done.returncode == 1
    assert str(broken) in done.stderr
    assert not (tmp_path / "wandb").exists()
    broken.write_text(json.dumps({"schema": 1, "stages": {}}))
    (broken.parent / "metrics.jsonl").write_text("")
    assert "has schema 1; this version reads 2" in send(tmp_path, str(tmp_path)).stderr


def test_a_run_goes_to_the_tracker_that_it_had(tmp_path: Path) -> None:
    call(tmp_path, "pruner=random", "tracker=tensorboard")
    shutil.rmtree(tmp_path / "tensorboard")
    assert send(tmp_path, str(tmp_path), "--again").returncode == 0
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    assert not (tmp_path / "wandb").exists()


def test_runs_are_sent_without_their_store_too(tmp_path: Path) -> None:
    call(tmp_path, "pruner=random", "tracker=none")
    shutil.rmtree(os.environ["SANITY_STORE_DIR"])
    assert send(tmp_path, str(tmp_path)).returncode == 0
    (ticket,) = offline_runs(tmp_path)
    assert ticket.epochs == metrics(tmp_path / "run")["train_ticket"]
    assert not Path(os.environ["SANITY_STORE_DIR"]).exists()


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ({"mine": {"_target_": "antigravity.Door"}}, "which is not of this package"),
        ({"wandb": {"project": "${oc.env:HOME}"}}, "must be values, by tracker"),
    ],
)
def test_a_record_of_others_names_no_code_and_asks_for_nothing(
    tmp_path: Path, tracker: object, message: str
) -> None:
    call(tmp_path, "pruner=random", "tracker=none")
    path = tmp_path / "run" / "record.json"
    content = json.loads(path.read_text())
    content["config"]["tracker"] = tracker
    path.write_text(json.dumps(content))
    done = send(tmp_path, str(tmp_path))
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_was_shown_is_noted_in_stores_only(tmp_path: Path) -> None:
    call(tmp_path, "pruner=random", "tracker=none")
    path = tmp_path / "run" / "record.json"
    content = json.loads(path.read_text())
    (tmp_path / "home").mkdir()
    content["config"]["store_dir"] = str(tmp_path / "home")
    path.write_text(json.dumps(content))
    assert send(tmp_path, str(tmp_path)).returncode == 0
    assert list((tmp_path / "home").iterdir()) == []
