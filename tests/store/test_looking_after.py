"""``python -m sanity.store``: what is there and who uses it, what is damaged, what may go."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import processes
import pytest
from conftest import TINY, Compose, Run
from damaging import flip_a_bit
from resuming import Stopped, disturb

from sanity import pipeline
from sanity.core import locks, sharing
from sanity.core.errors import StoreError
from sanity.core.files import digest
from sanity.store import Store, maintenance
from sanity.store.__main__ import main
from sanity.store.maintenance import inventory, remove, unused, verify
from sanity.store.notes import Note, sweep_note
from sanity.store.users import stage_of, users

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store() -> Store:
    opened = Store(Path(os.environ["SANITY_STORE_DIR"]))
    opened.open()
    return opened


@pytest.fixture
def call(capsys: Capture) -> Callable[..., Any]:
    """The command's answer as JSON, with its exit code."""

    def execute(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return execute


def stages(items: list[dict[str, Any]]) -> list[str]:
    return sorted(item["stage"] for item in items)


ALL = ["prune", "rewind", "train_dense", "train_ticket"]


def test_it_lists_size_age_and_users(run: Run, call: Callable[..., Any], capsys: Capture) -> None:
    first, second = run("pruner=lt"), run("pruner=lt", "sanity_check=rearrange")
    _, items = call("list")
    assert stages(items) == sorted([*ALL, "prune", "rewind", "train_ticket"])
    dense = next(item for item in items if item["stage"] == "train_dense")
    assert dense["used_by"] == sorted(str(one["directory"]) for one in (first, second))
    path = Path(dense["path"])
    assert dense["bytes"] == sum(file.stat().st_size for file in path.iterdir())
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "used by 2 runs and 0 sweeps" in shown
    assert dense["key"] in shown
    assert "and 1 more" in shown


def test_what_no_record_refers_to_goes_once_it_is_asked_for(
    run: Run, call: Callable[..., Any], store: Store
) -> None:
    first, second = run("pruner=lt"), run("pruner=lt", "sanity_check=rearrange")
    assert call("clean") == (0, [])
    directory(second).rename(directory(second).with_name("elsewhere"))
    _, going = call("clean")
    assert stages(going) == ["prune", "rewind", "train_ticket"]
    assert len(inventory(store)) == 7  # so far it was a dry run
    assert stages(call("clean", "--yes")[1]) == stages(going)
    kept = {(item.stage, item.key) for item in inventory(store)}
    assert kept == {(name, stage["key"]) for name, stage in first["stages"].items()}
    assert not list((store.root).glob(".trash*"))
    assert len(list((store.root / ".runs").glob("*.jsonl"))) == 1
    assert {stage["reused"] for stage in run("pruner=lt")["stages"].values()} == {True}


def directory(record: dict[str, Any]) -> Path:
    return Path(record["directory"])


def test_records_that_were_moved_count_where_they_are_shown(
    run: Run, call: Callable[..., Any], tmp_path: Path
) -> None:
    record = run("pruner=random")
    directory(record).rename(tmp_path / "moved")
    assert stages(call("clean")[1]) == ["prune", "rewind", "train_ticket"]
    assert call("clean", str(tmp_path)) == (0, [])


def test_an_interrupted_run_keeps_what_it_has_reached(
    run: Run, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    """It has no record of the stage it was in, whose checkpoints are hours of training."""
    disturb(monkeypatch, 9)
    with pytest.raises(Stopped):
        run("pruner=lt", "checkpoint_every=0")
    kinds = sorted((item.kind, item.stage) for item in inventory(store))
    assert ("unfinished", "train_ticket") in kinds
    assert call("clean", "--yes") == (0, [])
    assert sorted((item.kind, item.stage) for item in inventory(store)) == kinds


def test_unfinished_work_of_nobody_goes(
    run: Run,
    call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
    tmp_path: Path,
) -> None:
    disturb(monkeypatch, 9)
    with pytest.raises(Stopped):
        run("pruner=lt", "checkpoint_every=0")
    (tmp_path / "run0").rename(tmp_path / "gone")
    assert "train_ticket" in stages(call("clean", "--yes")[1])
    assert inventory(store) == []


def test_what_is_computed_at_this_moment_stays(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where nobody has noted it."""
    disturb(monkeypatch, 9)
    with pytest.raises(Stopped):
        run("pruner=lt", "checkpoint_every=0")
    (tmp_path / "run0").rename(tmp_path / "gone")
    (work,) = [item for item in inventory(store) if item.kind == "unfinished"]
    with locks.lock_at(store.lock_of(*work.name)).acquire(timeout=0):
        gone, _ = remove(store, inventory(store), lambda: users(store.root))
    assert work not in gone
    assert work.path.exists()


def test_who_begins_to_use_it_in_the_last_moment_keeps_it(
    run: Run, store: Store, tmp_path: Path
) -> None:
    record = run("pruner=random")
    directory(record).rename(tmp_path / "gone")
    going = unused(inventory(store), users(store.root))
    (tmp_path / "late").mkdir()
    Note(store.root, tmp_path / "late").add("prune", record["stages"]["prune"]["key"])
    removed, _ = remove(store, going, lambda: users(store.root))
    assert sorted(item.stage for item in removed) == ["rewind", "train_ticket"]


def test_directories_of_another_host_are_not_taken_for_gone(
    run: Run, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "another")
        record = run("pruner=random")
    directory(record).rename(tmp_path / "gone")
    assert call("clean") == (0, [])
    assert stages(call("clean", "--gone")[1]) == ["prune", "rewind", "train_ticket"]


def test_what_a_sweep_is_about_to_use_stays(
    tmp_path: Path, call: Callable[..., Any], store: Store
) -> None:
    """Its jobs have no directories yet."""
    store.open()
    key = "0" * 20
    (tmp_path / "sweep").mkdir()
    stage = {"name": "prune", "kind": "prune", "key": key}
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"jobs": [{"stages": [stage]}]}))
    (store.root / ".sweeps").mkdir()
    note = {"directory": str(tmp_path / "sweep"), "title": "t"}
    (store.root / ".sweeps" / "a.json").write_text(json.dumps(note))
    (store.root / ".work" / f"prune-{key}" / "checkpoints").mkdir(parents=True)
    (store.root / ".work" / f"prune-{'1' * 20}" / "checkpoints").mkdir(parents=True)
    assert [item["key"] for item in call("clean")[1]] == ["1" * 20]


def test_what_is_not_ours_stays(call: Callable[..., Any], store: Store) -> None:
    (store.root / "notes").mkdir()
    (store.root / "notes" / "todo.txt").touch()
    (store.root / "prune").mkdir()
    (store.root / "prune" / "README").touch()
    assert {item["kind"] for item in call("list")[1]} == {"foreign"}
    assert call("clean", "--yes") == (0, [])
    assert len(call("list")[1]) == 2


def test_a_result_of_another_format_is_named_and_stays(
    run: Run, call: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    record = run("pruner=random")
    path = store.path_of("prune", record["stages"]["prune"]["key"]) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["digest"]
    manifest["format"] = 1
    path.write_text(json.dumps(manifest | {"digest": digest(manifest)}))
    directory(record).rename(tmp_path / "gone")
    (item,) = [item for item in call("list")[1] if item["kind"] == "foreign"]
    assert item["problem"] == "manifest.json is of format 1; this version reads 2"
    assert item["key"] not in [one["key"] for one in call("clean", "--yes")[1]]


def test_every_checksum_is_verified(
    run: Run, call: Callable[..., Any], store: Store, capsys: Capture
) -> None:
    record = run("pruner=lt")
    assert call("verify") == (0, [])
    key = record["stages"]["train_dense"]["key"]
    flip_a_bit(store.path_of("train_dense", key) / "final.safetensors")
    code, problems = call("verify")
    assert code == 1
    assert [(one["key"], one["problem"]) for one in problems] == [
        (key, "final.safetensors does not match its digest")
    ]
    assert main(["verify"]) == 1
    assert f"damaged: train_dense/{key}: final.safetensors" in capsys.readouterr().out
    assert not run("pruner=lt")["stages"]["train_dense"]["reused"]
    assert call("verify") == (0, [])
    (aside,) = call("clean", "--yes")[1]
    assert aside["kind"] == "damaged"


def test_a_clock_that_was_set_back_makes_nothing_younger_than_now(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("pruner=random")
    monkeypatch.setattr(maintenance.time, "time", lambda: 0.0)
    assert {item.age() for item in inventory(store)} == {0.0}


def test_a_finished_run_is_noted_with_just_what_it_used(
    run: Run, store: Store, tmp_path: Path, configure: Compose
) -> None:
    """A directory in which something else was run before."""
    note = Note(store.root, tmp_path / "here")
    (tmp_path / "here").mkdir()
    note.add("prune", "0" * 20)
    pipeline.run(configure(*TINY, "pruner=random", "until=prune"), tmp_path / "here")
    assert [stage for stage, _ in users(store.root).by_name] == ["prune"]
    assert ("prune", "0" * 20) not in users(store.root).by_name


def test_half_a_note_says_nothing_and_hides_nothing(store: Store, tmp_path: Path) -> None:
    note = Note(store.root, tmp_path)
    note.add("prune", "0" * 20)
    with note.path.open("a") as file:
        file.write('{"directory": "/x", "st')
    note.add("rewind", "1" * 20)
    assert set(users(store.root).by_name) == {("prune", "0" * 20), ("rewind", "1" * 20)}


def test_mistakes_are_one_line(tmp_path: Path, capsys: Capture, store: Store) -> None:
    assert main(["list", "--store-dir", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such store; choose one with --store-dir" in capsys.readouterr().err
    assert main(["clean", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such directory" in capsys.readouterr().err


def test_names_with_markup_are_shown_as_they_are(
    call: Callable[..., Any], store: Store, capsys: Capture
) -> None:
    (store.root / "[red]\x1b[2Jx").mkdir()
    (store.root / "[red]\x1b[2Jx" / "[b] y").touch()
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]\N{REPLACEMENT CHARACTER}[2Jx" in shown
    assert "[b] y" in shown


@pytest.mark.slow
def test_as_a_command(run: Run, tmp_path: Path) -> None:
    run("pruner=random")
    done = processes.run([sys.executable, "-m", "sanity.store", "verify"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 results, ")
    assert done.stdout.endswith(": every file is what was written\n")


def test_verifying_changes_nothing(run: Run, store: Store) -> None:
    record = run("pruner=random")
    flip_a_bit(store.path_of("prune", record["stages"]["prune"]["key"]) / "mask.safetensors")
    before = inventory(store)
    assert len(list(verify(store, before))) == 1
    assert inventory(store) == before


@pytest.mark.parametrize("noted", [False, True])
def test_what_an_earlier_version_left_stays_unless_one_asks_for_it(
    run: Run, call: Callable[..., Any], store: Store, tmp_path: Path, noted: bool
) -> None:
    """It noted nothing: nobody knows whose its results are."""
    old = run("pruner=random")
    shutil.rmtree(store.root / ".runs")
    if noted:
        run("pruner=random", "seed=1")
    before = {item["key"] for item in call("list")[1]}
    assert call("clean", "--yes") == (0, [])
    assert {item["key"] for item in call("list")[1]} == before
    assert call("clean", "--earlier", str(tmp_path)) == (0, [])
    directory(old).rename(directory(old).with_name("gone"))
    _, going = call("clean", "--earlier")
    assert {item["key"] for item in going} == {stage["key"] for stage in old["stages"].values()}


def sweep_in(directory: Path, store: Store, key: str) -> Path:
    """A sweep's file, and the note that its sweep leaves in the store."""
    directory.mkdir()
    stage = {"name": "prune", "stage": "prune", "key": key}
    (directory / "sweep.json").write_text(json.dumps({"jobs": [{"stages": [stage]}]}))
    note = sweep_note(store.root, "same", directory)
    note.parent.mkdir(exist_ok=True)
    facts = {"directory": str(directory), "host": socket.gethostname(), "stages": [["prune", key]]}
    note.write_text(json.dumps(facts))
    return note


def test_the_same_sweep_in_two_directories_is_two_users(
    run: Run, call: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    record = run("pruner=random", "until=prune")
    key = record["stages"]["prune"]["key"]
    for name in ("one", "two"):
        sweep_in(tmp_path / name, store, key)
    shutil.rmtree(directory(record))
    shutil.rmtree(tmp_path / "two")
    assert call("clean", "--yes") == (0, [])


def test_a_directory_of_the_same_name_on_another_host_is_another_users(
    run: Run, call: Callable[..., Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run("pruner=random", "until=prune")
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "another")
        note = Note(store.root, directory(record))
        note.add("rewind", "0" * 20)
        note.replace([("rewind", "0" * 20)])
    found = users(store.root)
    assert {name for name, used in found.by_name.items() if used} == {
        ("rewind", "0" * 20),
        ("prune", record["stages"]["prune"]["key"]),
    }


@pytest.mark.parametrize("what", ["run", "sweep", "record", "folder"])
def test_where_something_cannot_be_read_nothing_is_removed(
    run: Run, call: Callable[..., Any], store: Store, tmp_path: Path, capsys: Capture, what: str
) -> None:
    record = run("pruner=random", "until=prune")
    note = sweep_in(tmp_path / "sweep", store, record["stages"]["prune"]["key"])
    if what == "run":
        note = next((store.root / ".runs").glob("*.jsonl"))
    elif what == "record":
        note = directory(record) / "record.json"
    elif what == "folder":
        (tmp_path / "odd").mkdir()
        note = tmp_path / "odd" / "record.json"
        note.symlink_to("/proc/self/mem")
    if what != "folder":
        note.write_bytes(b"\0" * note.stat().st_size)
    places = [str(tmp_path)] if what in ("record", "folder") else []
    assert main(["clean", "--yes", *places]) == 1
    assert f"{note}: cannot be read" in capsys.readouterr().err
    assert main(["list", *places]) == 0
    assert "not to be read: " in capsys.readouterr().out
    assert len(inventory(store)) == 1


def test_a_note_that_is_damaged_while_a_clean_is_under_way_ends_it(
    run: Run, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a batch that follows would have removed stays."""
    for seed in range(2):
        shutil.rmtree(run("pruner=random", f"seed={seed}")["directory"])
    there = run("pruner=random", "seed=2")
    store_dir = Path(there["config"]["store_dir"])
    monkeypatch.setattr(maintenance, "BATCH", 1)
    removed: list[Path] = []

    def remove(path: Path) -> str:
        removed.append(path)
        for note in (store_dir / ".runs").glob("*.jsonl"):
            note.write_text("\x00 no note\n")
        return sharing_remove(path)

    sharing_remove = sharing.remove
    monkeypatch.setattr(sharing, "remove", remove)
    before = len(inventory(Store(store_dir)))
    assert main(["clean", "--yes"]) == 1
    assert "nothing more is removed" in capsys.readouterr().err
    assert len(removed) == 1
    assert len(inventory(Store(store_dir))) == before - 1


def test_links_are_followed_once(
    run: Run, call: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    record = run("pruner=random", "until=prune")
    (tmp_path / "far").mkdir()
    directory(record).rename(tmp_path / "far" / "run")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "out" / "loop").symlink_to(tmp_path / "out")
    assert call("clean", str(tmp_path / "out")) == (0, [])
    assert len(call("clean")[1]) == 1


def test_a_copy_made_by_hand_stays(run: Run, call: Callable[..., Any], store: Store) -> None:
    record = run("pruner=random", "until=prune")
    path = store.path_of("prune", record["stages"]["prune"]["key"])
    shutil.copytree(path, path.with_name(f"{path.name}.mine"))
    assert call("clean", "--yes") == (0, [])
    assert path.with_name(f"{path.name}.mine").is_dir()


def test_a_directory_that_is_no_store_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    photo = tmp_path / "photos" / ("a" * 20) / "holiday.jpg"
    photo.parent.mkdir(parents=True)
    photo.touch()
    assert main(["clean", "--yes", "--earlier", "--store-dir", str(tmp_path)]) == 1
    assert "no such store" in capsys.readouterr().err
    assert photo.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_what_cannot_be_removed_is_named_and_the_rest_goes(
    run: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    record = run("pruner=random")
    directory(record).rename(tmp_path / "gone")
    original = maintenance._set_aside

    def refuse(store: Store, item: Any, place: Path) -> None:
        if item.stage == "rewind":
            raise PermissionError(13, "Permission denied")
        original(store, item, place)

    monkeypatch.setattr(maintenance, "_set_aside", refuse)
    assert main(["clean", "--yes"]) == 1
    assert "cannot be removed (Permission denied)" in capsys.readouterr().err
    assert [item.stage for item in inventory(store)] == ["rewind"]
    assert not (store.root / ".trash").exists()


def test_names_of_stages_in_runs_are_those_of_the_store() -> None:
    names = ("prune_2", "prune_donor", "train_ticket_12", "train_dense", "snapshot", "rewind_1")
    assert [stage_of(name) for name in names] == [
        *("prune", "prune", "train_ticket", "train_dense", "snapshot", "rewind")
    ]


def test_a_result_of_another_format_is_not_taken_for_damaged(run: Run, store: Store) -> None:
    record = run("pruner=random", "until=prune")
    key = record["stages"]["prune"]["key"]
    path = store.path_of("prune", key) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["digest"]
    manifest["format"] = 1
    path.write_text(json.dumps(manifest | {"digest": digest(manifest)}))
    with pytest.raises(StoreError, match="is of format 1; this version reads 2"):
        store.get("prune", key)
    assert path.exists()
