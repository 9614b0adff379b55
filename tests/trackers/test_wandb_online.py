"""What reaches a W&B server: live, after failures, and by ``wandb sync``; each epoch once."""

import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import processes
import pytest
from tracking import call, command, environment, has_line, kill, metrics
from wandb_stub import Stub, served

EPOCHS = ("training.epochs=6",)


@pytest.fixture
def server() -> Iterator[Stub]:
    with served(Stub()) as stub:
        yield stub
        assert stub.unknown == []


def sync(place: Path, stub: Stub, *paths: Path, options: tuple[str, ...] = ()) -> None:
    """``wandb sync`` as a user would."""
    there = stub.environment()
    del there["WANDB_MODE"]
    command = [sys.executable, "-m", "wandb", "sync", "--yes", *options, *map(str, paths)]
    done = processes.run(command, place, environment(place, **there))
    assert done.returncode == 0, done.stdout + done.stderr


def assert_all_is_there(place: Path, stub: Stub) -> None:
    """Dense network and ticket, every epoch once, as ``metrics.jsonl`` has them."""
    told = {run.settings["stage"]: run for run in stub.runs.values()}
    assert len(told) == len(stub.runs)
    lines = metrics(place / "run")
    assert told.keys() == lines.keys()
    for stage, epochs in lines.items():
        assert told[stage].epochs == epochs
        assert told[stage].summary["final/test_accuracy"] == epochs[-1]["test_accuracy"]


def warnings(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("warning")]


def test_online_runs_with_their_lineage(tmp_path: Path, server: Stub) -> None:
    done = call(
        tmp_path, "pruner=lt", "sanity_check=rearrange", "sweep.name=mine", **server.environment()
    )
    assert warnings(done) == []
    assert f"W&B: {server.url}" in done.stderr
    assert_all_is_there(tmp_path, server)
    runs = {run.settings["stage"]: run for run in server.runs.values()}
    dense, ticket = runs["train_dense"], runs["train_ticket"]
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert [run.facts["jobType"] for run in (dense, ticket)] == ["dense", "ticket"]
    assert {run.facts["groupName"] for run in (dense, ticket)} == {"mine"}
    assert ticket.facts["displayName"] == "lt x global 80% rearrange s0 digits resnet8"
    assert "rearrange" in ticket.facts["tags"]
    assert ticket.settings["parent"] == dense.name
    assert ticket.exit_codes == dense.exit_codes == [0]
    assert ticket.summary["final/dense_test_accuracy"] == record["metrics"]["dense_test_accuracy"]
    assert any(name.startswith("media/table/vs_layer_table") for name in ticket.files)
    assert "vs_layer_chart" in ticket.config["_wandb"]["value"]["visualize"]
    made = {one.type: one for one in server.artifacts.values() if one.type != "run_table"}
    assert made["dense"].made_by == dense.name
    assert made["dense"].used_by == [ticket.name]
    assert made["mask"].name == f"mask-{record['stages']['prune']['key']}"
    assert made["mask"].files == ["mask.safetensors"]
    assert made["ticket"].made_by == made["mask"].made_by == ticket.name
    assert all(one.committed for one in made.values())


def test_nothing_is_uploaded_twice(tmp_path: Path, server: Stub) -> None:
    for check in ("none", "rearrange", "none"):
        call(tmp_path, "pruner=lt", f"sanity_check={check}", **server.environment())
    kinds = sorted(run.facts["jobType"] for run in server.runs.values())
    assert kinds == ["dense", "ticket", "ticket"]
    assert server.requests.count("RunResumeStatus") == 3


def test_what_was_written_offline_is_sent_once_there_is_a_key(tmp_path: Path, server: Stub) -> None:
    call(tmp_path, "pruner=lt", WANDB_BASE_URL=server.url)
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 2
    host = server.url.removeprefix("http://")
    (tmp_path / ".netrc").write_text(f"machine {host} login user password {'0' * 40}\n")
    for _ in range(2):  # as after `wandb login`
        there = {"WANDB_BASE_URL": server.url, "WANDB_ERROR_REPORTING": "false"}
        done = call(tmp_path, "pruner=lt", **there)
        assert "W&B: project sanity" in done.stderr
        assert_all_is_there(tmp_path, server)
    assert list(tmp_path.glob("wandb/offline-run-*")) == []
    assert server.requests.count("RunResumeStatus") == 2


def test_a_key_for_another_server_is_none(tmp_path: Path, server: Stub) -> None:
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {'0' * 40}\n")
    done = call(tmp_path, "pruner=random", WANDB_BASE_URL=server.url)
    assert "(no key configured)" in done.stderr
    assert server.requests == []


def test_artifacts_can_be_left_out(tmp_path: Path, server: Stub) -> None:
    call(tmp_path, "pruner=random", "tracker.wandb.artifacts=false", **server.environment())
    assert {one.type for one in server.artifacts.values()} <= {"run_table"}


def test_offline_runs_are_all_there_after_a_sync(tmp_path: Path, server: Stub) -> None:
    call(tmp_path, "pruner=lt", *EPOCHS, WANDB_MODE="offline")
    for _ in range(2):  # once more changes nothing
        sync(tmp_path, server, *tmp_path.glob("wandb/offline-run-*"))
        assert_all_is_there(tmp_path, server)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train_dense", "train_ticket"])
def test_a_killed_run_goes_on_live_with_each_epoch_once(
    tmp_path: Path, server: Stub, stage: str
) -> None:
    long = ("pruner=lt", "training.epochs=200", "checkpoint_every=0.1")
    chance = random.Random(stage)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        kill(
            tmp_path,
            *long,
            when=lambda: any(run.settings.get("stage") == stage for run in [*server.runs.values()]),
            number=number,
            delay=chance.uniform(0, 1.0),
            more=server.environment(),
        )
    call(tmp_path, *long, **server.environment())
    assert_all_is_there(tmp_path, server)


@pytest.mark.slow
def test_offline_and_online_attempts_at_one_run_show_each_epoch_once(
    tmp_path: Path, server: Stub
) -> None:
    long = ("pruner=random", "training.epochs=200", "checkpoint_every=0.1")
    for mode in ("online", "offline"):
        there = server.environment() | {"WANDB_MODE": mode}
        kill(tmp_path, *long, when=lambda: has_line(tmp_path, '"epoch": 50'), more=there)
    call(tmp_path, *long, **(server.environment() | {"WANDB_MODE": "offline"}))
    sync(tmp_path, server, *tmp_path.glob("wandb/offline-run-*"))
    assert_all_is_there(tmp_path, server)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["dead port", "no answer", "server error"])
def test_a_server_that_cannot_be_reached_costs_no_more_than_its_timeout(
    tmp_path: Path, server: Stub, trouble: str
) -> None:
    timeout = 6.0
    there = server.environment()
    if trouble == "dead port":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            there["WANDB_BASE_URL"] = f"http://127.0.0.1:{free.getsockname()[1]}"
    server.silent, server.status = (
        trouble == "no answer",
        500 if trouble == "server error" else None,
    )
    alone = _seconds(tmp_path / "alone", "pruner=random", "tracker=none")
    start = time.monotonic()
    (tmp_path / "tracked").mkdir()
    done = call(
        tmp_path / "tracked", "pruner=lt", *EPOCHS, f"tracker.wandb.timeout={timeout}", **there
    )
    # Starting Python and wandb differs from run to run by more than a second on a busy machine.
    assert time.monotonic() - start < alone + timeout + 4
    assert len(warnings(done)) == 1
    assert "going on offline in wandb, which `wandb sync` uploads" in warnings(done)[0]
    server.silent, server.status = False, None
    place = tmp_path / "tracked"
    sync(place, server, *place.glob("wandb/offline-run-*"))
    assert_all_is_there(place, server)


def _seconds(place: Path, *overrides: str) -> float:
    place.mkdir()
    start = time.monotonic()
    call(place, *overrides, *EPOCHS)
    return time.monotonic() - start


def test_a_wrong_key_is_one_warning_at_once(tmp_path: Path, server: Stub) -> None:
    server.status = 401
    start = time.monotonic()
    done = call(tmp_path, "pruner=lt", "tracker.wandb.timeout=60", **server.environment())
    assert time.monotonic() - start < 40
    assert len(warnings(done)) == 1
    server.status = None
    sync(tmp_path, server, *tmp_path.glob("wandb/offline-run-*"))
    assert_all_is_there(tmp_path, server)


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 500])
def test_a_server_that_fails_later_leaves_what_sync_needs(
    tmp_path: Path, server: Stub, status: int
) -> None:
    server.later, server.status = True, status  # once the run is there
    long = ("pruner=random", "training.epochs=60", "tracker.wandb.timeout=8")
    done = call(tmp_path, *long, **server.environment())
    assert len(warnings(done)) == 1, done.stderr
    assert "uploads what is missing" in warnings(done)[0]
    server.status = None
    (command_line,) = re.findall(r"`wandb sync (.*?)`", warnings(done)[0])
    option, directory = command_line.split()  # as the warning says
    sync(tmp_path, server, tmp_path / directory, options=(option,))
    assert_all_is_there(tmp_path, server)


def test_a_failed_training_is_a_failed_run(tmp_path: Path, server: Stub) -> None:
    failing = command(tmp_path, "pruner=random", "training.lr=1e30")
    done = processes.run(failing, tmp_path, environment(tmp_path, **server.environment()))
    assert done.returncode == 1
    (run,) = server.runs.values()
    assert run.exit_codes == [1]
