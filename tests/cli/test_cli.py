"""The command line as a user meets it: fast, from anywhere, one clear line for what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

from sanity.core.config import PROJECT

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(PROJECT / "run.py"), *arguments]


def call(cwd: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return processes.run(command(*arguments), cwd, os.environ | more)


def test_a_run_from_any_directory_ends_with_its_table(tmp_path: Path) -> None:
    # In a new interpreter: all other tests of commands start them where torch is imported.
    done = subprocess.run(command(*TINY), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("sparsity", "dense", "pruned", "ticket", "train_dense", "computed", "record:"):
        assert word in done.stdout
    path = Path(done.stdout.split("record: ")[1].strip())
    record = json.loads(path.read_text())
    assert record["status"] == "completed"
    assert record["choices"] == {
        "dataset": "digits",
        "arch": "resnet8",
        "pruner": "lt",
        "ratio": "global",
        "rewind": "init",
        "sanity_check": "none",
    }
    lines = [json.loads(line) for line in (path.parent / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["epoch"]) for line in lines] == [
        ("train_dense", 0),
        ("train_dense", 1),
        ("train_ticket", 0),
        ("train_ticket", 1),
    ]
    assert "\x1b" not in done.stdout + done.stderr  # no bars, no colours where nobody looks

    again = call(tmp_path, *TINY, "seed=0")
    assert again.stdout.count("reused") == 4
    assert "computed" not in again.stdout


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["--help"], ["-sc", "install=bash"]])
def test_what_needs_no_torch_does_not_import_it(tmp_path: Path, arguments: list[str]) -> None:
    run = [sys.executable, "-X", "importtime", str(PROJECT / "run.py"), *arguments]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "hydra" in imported
    assert "torch" not in imported


def test_tab_completion_offers_options_and_keys(tmp_path: Path) -> None:
    for line, expected in (("pruner=s", "pruner=snip"), ("ratio.sp", "ratio.sparsity=")):
        done = call(
            tmp_path, "-sc", "query=bash", COMP_LINE=f"python run.py {line}", COMP_POINT="100"
        )
        assert expected in done.stdout.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pruner=snap"], "pruner=snap: no such option; choose from dense, "),
        (["prunr=lt"], "prunr: no such setting (did you mean pruner?); choose from "),
        (["training.epoch=3"], "training.epoch: no such setting (did you mean epochs?)"),
        (["ratio.sparsity=1.5"], "ratio.sparsity=1.5: must be in [0, 1)"),
        (["dataset=folder"], "dataset.path: must be given"),
        (["lt"], "lt: cannot be read; settings are given as key=value"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = call(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()], done.stderr
    assert done.stderr.startswith(f"run.py: {message}")


def test_a_data_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for setting in ("data_dir", "store_dir"):
        done = call(tmp_path, *TINY, f"{setting}={tmp_path}/file/below")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert f"{setting}=" in done.stderr


@pytest.mark.slow
def test_a_multirun_shares_its_dense_network(tmp_path: Path) -> None:
    grid = ("pruner=lt,hybrid", "sanity_check=none,rearrange", "ratio.sparsity=0.7,0.8")
    done = call(tmp_path, "-m", *TINY, *grid)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("record.json")]
    assert len(records) == 8
    assert sum(not record["stages"]["train_dense"]["reused"] for record in records) == 1


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train_dense", "train_ticket"])
def test_ctrl_c_leaves_nothing_half_written_and_the_next_run_goes_on(
    tmp_path: Path, stage: str
) -> None:
    long = (*TINY, "training.epochs=4000" if stage == "train_dense" else "training.epochs=30")
    slow = ("pruner=lt", "dataset.limit=1000")
    process = processes.Process(command(*long, *slow), tmp_path)
    metrics = _wait_for_epoch(tmp_path, stage)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("run.py: interrupted")
    assert "Traceback" not in errors
    record = json.loads((metrics.parent / "record.json").read_text())
    assert (record["status"], record["reason"]) == ("failed", "interrupted")
    store = Path(os.environ["SANITY_STORE_DIR"])
    assert list((store / stage).iterdir()) == []
    (work,) = (store / ".work").iterdir()
    assert [path.name for path in work.iterdir()] == ["checkpoints"]
    if stage == "train_ticket":
        again = call(tmp_path, *long, *slow)
        assert again.returncode == 0
        assert again.stdout.count("reused") == 3
        assert "train_ticket goes on at epoch " in again.stderr


def _wait_for_epoch(directory: Path, stage: str) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in directory.rglob("metrics.jsonl"):
            if f'"stage": "{stage}"' in path.read_text():
                return path
        time.sleep(0.05)
    raise AssertionError(f"{stage} never reached an epoch")


def test_a_link_to_a_directory_that_was_purged_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "purged")
    for setting in ("data_dir=link", "store_dir=link", "hydra.run.dir=link/run"):
        done = call(tmp_path, *TINY, setting)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert f"a link to {tmp_path}/purged, which is not there" in done.stderr
