"""The store: whole or absent, verified, computed once."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damaging import flip_a_bit, truncate

from sanity import store as store_module
from sanity.core.errors import StoreError
from sanity.store import Store, Work, key_of, save_tensors

SETTINGS = {"arch": {"depth": 8}, "seed": 0}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "store")
    opened.open()
    return opened


def writer(calls: list[int] | None = None) -> Callable[[Work], dict[str, Any]]:
    def compute(work: Work) -> dict[str, Any]:
        if calls is not None:
            calls.append(1)
        save_tensors(work.directory, "weights", {"w": torch.arange(4.0)})
        return {"accuracy": 99.5}

    return compute


def test_a_second_fetch_reuses_the_first(store: Store) -> None:
    calls: list[int] = []
    first = store.fetch("prune", SETTINGS, writer(calls))
    second = store.fetch("prune", SETTINGS, writer(calls))
    assert (first.reused, second.reused, len(calls)) == (False, True, 1)
    assert second.facts == {"accuracy": 99.5}
    assert torch.equal(second.tensors("weights")["w"], torch.arange(4.0))


def test_other_settings_are_another_entry(store: Store) -> None:
    first = store.fetch("prune", SETTINGS, writer())
    other = store.fetch("prune", SETTINGS | {"seed": 1}, writer())
    assert first.key != other.key
    assert not other.reused


def test_a_key_depends_on_values_and_not_on_their_order() -> None:
    assert key_of("prune", {"a": 1, "b": 2}) == key_of("prune", {"b": 2, "a": 1})
    assert key_of("prune", {"a": 1}) != key_of("rewind", {"a": 1})


@pytest.mark.parametrize("file", ["weights.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", [flip_a_bit, truncate, Path.unlink])
def test_a_damaged_entry_is_noticed_moved_aside_and_computed_again(
    store: Store, damage: Callable[[Path], None], file: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = store.fetch("prune", SETTINGS, writer())
    damage(first.path / file)
    again = store.fetch("prune", SETTINGS, writer())
    assert not again.reused
    assert torch.equal(again.tensors("weights")["w"], torch.arange(4.0))
    assert len(list(first.path.parent.glob("*.damaged-*"))) == 1
    assert caplog.text.count("is damaged") == 1


def test_facts_that_were_edited_by_hand_are_not_believed(store: Store) -> None:
    entry = store.fetch("prune", SETTINGS, writer())
    manifest = json.loads((entry.path / "manifest.json").read_text())
    manifest["facts"]["accuracy"] = 100.0
    (entry.path / "manifest.json").write_text(json.dumps(manifest))
    assert store.fetch("prune", SETTINGS, writer()).facts == {"accuracy": 99.5}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_computation_leaves_nothing(
    store: Store, error: type[BaseException]
) -> None:
    def interrupted(work: Work) -> dict[str, Any]:
        save_tensors(work.directory, "weights", {"w": torch.zeros(1)})
        raise error

    with pytest.raises(error):
        store.fetch("prune", SETTINGS, interrupted)
    assert list((store.root / "prune").iterdir()) == []
    assert list((store.root / ".work").iterdir()) == []
    assert not store.fetch("prune", SETTINGS, writer()).reused


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError(28, "full")])
def test_checkpoints_outlive_an_interrupted_computation_and_go_with_its_result(
    store: Store, error: BaseException
) -> None:
    seen: list[str] = []

    def interrupted(work: Work) -> dict[str, Any]:
        work.checkpoints.mkdir(exist_ok=True)
        (work.checkpoints / "half_way").touch()
        raise error

    def goes_on(work: Work) -> dict[str, Any]:
        seen.extend(path.name for path in work.checkpoints.iterdir())
        assert list(work.directory.iterdir()) == []
        return writer()(work)

    for _ in range(2):
        with pytest.raises((KeyboardInterrupt, RuntimeError, StoreError)):
            store.fetch("prune", SETTINGS, interrupted)
    left = [path.name for path in work_of(store).iterdir()]
    assert left == ["checkpoints"]
    store.fetch("prune", SETTINGS, goes_on)
    assert seen == ["half_way"]
    assert list((store.root / ".work").iterdir()) == []


def test_what_a_killed_run_left_is_cleared(store: Store) -> None:
    stale = work_of(store) / "result-killed"
    stale.mkdir(parents=True)
    (stale / "weights.safetensors").touch()
    seen: list[Path] = []

    def compute(work: Work) -> dict[str, Any]:
        seen.extend(work.directory.parent.iterdir())
        return writer()(work)

    entry = store.fetch("prune", SETTINGS, compute)
    assert len(seen) == 1
    assert stale not in seen
    assert [path.name for path in entry.path.parent.iterdir()] == [entry.key]


def work_of(store: Store) -> Path:
    return store.root / ".work" / f"prune-{key_of('prune', SETTINGS)}"


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"store_dir=.*cannot be written"):
        Store(tmp_path / "file").open()


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(store: Store) -> None:
    def full(work: Work) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"store_dir=.*prune.*No space left"):
        store.fetch("prune", SETTINGS, full)
    assert list((store.root / "prune").iterdir()) == []


def compute_in_process(root: Path, barrier: Any) -> None:
    def slow(work: Work) -> dict[str, Any]:
        with (root / "computed").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return writer()(work)

    barrier.wait()
    Store(root).fetch("prune", SETTINGS, slow)


def test_processes_that_want_the_same_compute_it_once(store: Store) -> None:
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(3)
    arguments = (store.root, barrier)
    processes = [context.Process(target=compute_in_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len((store.root / "computed").read_text().splitlines()) == 1


def test_anybodys_store_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public").chmod(0o777)
    for _ in range(3):
        Store(tmp_path / "public").open()
    assert caplog.text.count("anyone may write to store_dir=") == 1
    caplog.clear()
    (tmp_path / "public").chmod(0o755)
    store_module.store.warn_once.cache_clear()
    Store(tmp_path / "public").open()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("stage", "key"),
    [("prune", "../../elsewhere"), ("..", "0" * 20), ("prune", ""), ("a/b", "0" * 20)],
)
def test_what_is_no_key_leads_nowhere(store: Store, tmp_path: Path, stage: str, key: str) -> None:
    """A record that somebody made up may name any; damaged entries are moved."""
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(StoreError, match="names no result of a store"):
        store.get(stage, key)
    assert (tmp_path / "elsewhere").is_dir()


def test_where_locks_do_not_hold_the_first_result_counts(store: Store) -> None:
    """Two hosts with locks of their own: both compute, and neither breaks the other's."""
    other: list[Any] = []

    def compute(work: Work) -> dict[str, Any]:
        if not other:  # meanwhile somebody else finishes the same
            other.append(None)
            twin = Store(store.root)
            twin.work_of = lambda *_: store.root / ".work" / "twin"  # type: ignore[method-assign]
            twin.lock_of = lambda *_: store.root / ".locks" / "twin"  # type: ignore[method-assign]
            other[0] = twin.fetch("prune", SETTINGS, writer())
        return writer()(work) | {"accuracy": 1.0}

    entry = store.fetch("prune", SETTINGS, compute)
    assert entry.reused
    assert entry.facts == {"accuracy": 99.5}
    assert [path.name for path in (store.root / "prune").iterdir()] == [entry.key]


def test_what_a_run_had_no_time_to_remove_is_removed_by_the_next(store: Store) -> None:
    """Killed between the rename and the end, where nobody computes this entry again."""
    entry = store.fetch("prune", SETTINGS, writer())
    left = work_of(store) / "checkpoints"
    left.mkdir(parents=True)
    (left / "00000001.json").touch()
    assert store.fetch("prune", SETTINGS, writer()).path == entry.path
    assert not work_of(store).exists()


def test_a_device_in_place_of_a_file_is_not_read_to_its_end(store: Store) -> None:
    entry = store.fetch("prune", SETTINGS, writer())
    (entry.path / "weights.safetensors").unlink()
    (entry.path / "weights.safetensors").symlink_to("/dev/zero")
    assert not store.fetch("prune", SETTINGS, writer()).reused
