"""Offline runs of wandb's, read back with its own command and compared with ``metrics.jsonl``."""

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tracking import call, has_line, kill, metrics, offline_runs

from sanity.trackers.wandb.log import is_whole

SAID = "W&B: offline in wandb (no key configured); `wandb sync` uploads it"


def test_an_offline_run_says_what_the_record_says(tmp_path: Path) -> None:
    done = call(tmp_path, "pruner=lt", "sanity_check=rearrange", "+tracker.wandb.tags=[mine]")
    assert done.stderr.count(SAID) == 1
    assert "warning" not in done.stderr
    dense, ticket = offline_runs(tmp_path)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    lines = metrics(tmp_path / "run")
    assert [dense.run["job_type"], ticket.run["job_type"]] == ["dense", "ticket"]
    assert dense.epochs == lines["train_dense"]
    assert ticket.epochs == lines["train_ticket"]
    assert [row["_step"] for row in ticket.rows] == list(range(len(ticket.rows)))
    final, *layers, chart = ticket.rows[2:]
    for name, value in record["metrics"].items():
        assert ticket.summary[f"final/{name}"] == value
    accuracy = record["metrics"]["test_accuracy"]
    assert final["vs_sparsity/test_accuracy"] == accuracy
    assert final["vs_sparsity/sparsity"] == record["ticket"]["sparsity"]
    assert chart["vs_layer_table.nrows"] == len(record["ticket"]["layers"]) == len(layers)
    in_viewers = sorted({name for row in ticket.rows for name in row if name[0] != "_"})
    curves = sorted({name for row in ticket.epochs for name in row})
    assert in_viewers[: len(curves)] == curves, "charts of one point come last"
    densities = [row["vs_layer/density"] for row in layers]
    assert densities == [one["kept"] / one["total"] for one in record["ticket"]["layers"]]
    assert ticket.exits == [{"exit_code": 0}]
    assert "mine" in ticket.run["tags"]
    config = ticket.run["config"]["update"]
    assert config["parent"] == dense.run["run_id"]
    assert config["mask"]["sha256"] == record["ticket"]["digest"]
    table = next((ticket.directory / "files/media/table").iterdir())
    assert json.loads(table.read_text())["columns"] == ["layer", "total", "kept", "density"]


def test_no_secret_leaves_the_machine(tmp_path: Path) -> None:
    call(
        tmp_path,
        "pruner=random",
        "+mine.api_key=hush",
        "hydra.help.footer=${mine.api_key}",  # or nobody reads it
        WANDB_API_KEY="f" * 40,
        WANDB_MODE="offline",
    )
    (ticket,) = offline_runs(tmp_path)
    assert "hush" not in ticket.text
    assert "f" * 40 not in ticket.text
    assert "(redacted)" in ticket.text


def test_a_sweep_is_a_group_and_says_once_where_it_goes(tmp_path: Path) -> None:
    grid = ("pruner=lt,snip", "sanity_check=none,rearrange", f"hydra.sweep.dir={tmp_path}/sweep")
    for launcher in ("basic", "local"):
        done = call(tmp_path, "-m", *grid, f"hydra/launcher={launcher}")
        assert (done.stdout + done.stderr).count(SAID) == 1
        runs = offline_runs(tmp_path)
        kinds = sorted(run.run["job_type"] for run in runs)
        assert kinds == ["dense", *["ticket"] * 4]
        name = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["name"]
        assert {run.run["run_group"] for run in runs} == {name}
        assert name.startswith("sweep-")
        records = list((tmp_path / "sweep").glob("*/record.json"))
        assert {json.loads(path.read_text())["sweep"] for path in records} == {name}
        shutil.rmtree(tmp_path / "sweep")
        shutil.rmtree(tmp_path / "wandb")
        shutil.rmtree(os.environ["SANITY_STORE_DIR"])


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train_dense", "train_ticket"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_shows_each_epoch_once_when_it_has_been_resumed(
    tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    long = ("pruner=lt", "training.epochs=150", "checkpoint_every=0.1")
    chance = random.Random(f"{stage}{number}")
    for _ in range(2):
        kill(
            tmp_path,
            *long,
            when=lambda: has_line(tmp_path, f'"{stage}", "epoch": 2'),
            number=number,
            delay=chance.uniform(0, 0.5),
        )
    call(tmp_path, *long)
    told = {run.run["config"]["update"]["stage"]: run for run in offline_runs(tmp_path)}
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 2
    for name, epochs in metrics(tmp_path / "run").items():
        assert [row["epoch"] for row in told[name].epochs] == list(range(150))
        assert told[name].epochs == epochs


@pytest.mark.slow
def test_a_full_disk_is_one_warning_and_the_run_can_be_sent_later(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        epochs = ("pruner=random", "training.epochs=400")
        done = call(tmp_path, *epochs, WANDB_DIR=str(small))
    finally:
        subprocess.run(["umount", str(small)], check=True)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "could not be written to its end (" in warnings[0]
    assert "sanity.trackers send" in warnings[0]
    call(tmp_path, *epochs)  # all reused, and shown now
    (ticket,) = offline_runs(tmp_path)
    assert ticket.epochs == metrics(tmp_path / "run")["train_ticket"]
    assert len(ticket.epochs) == 400


@pytest.mark.slow
def test_a_directory_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = call(tmp_path, "pruner=lt", WANDB_DIR=str(tmp_path / "file"))
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "; the run goes on, and `python -m sanity.trackers send`" in warnings[0]


def test_a_file_that_was_cut_short_is_not_whole(tmp_path: Path) -> None:
    call(tmp_path, "pruner=random")
    (directory,) = tmp_path.glob("wandb/offline-run-*")
    (file,) = directory.glob("*.wandb")
    content = file.read_bytes()
    assert is_whole(file)
    for cut in (0, 7, 20, len(content) // 2, len(content) - 1):
        (tmp_path / "cut").write_bytes(content[:cut])
        assert not is_whole(tmp_path / "cut")
    assert not is_whole(tmp_path / "nothing")
