"""The store: whole or absent, verified, computed once."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sanity import store as store_module
from sanity.errors import StoreError
from sanity.store import Store, key_of, save_tensors

SETTINGS = {"arch": {"depth": 8}, "seed": 0}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "store")
    opened.open()
    return opened


def writer(calls: list[int] | None = None) -> Callable[[Path], dict[str, Any]]:
    def compute(directory: Path) -> dict[str, Any]:
        if calls is not None:
            calls.append(1)
        save_tensors(directory, "weights", {"w": torch.arange(4.0)})
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


def test_an_option_added_later_keeps_old_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    old = key_of("train", {"training": {"lr": 0.1}})
    monkeypatch.setitem(store_module.NEUTRAL, "training.label_smoothing", 0.0)
    assert key_of("train", {"training": {"lr": 0.1, "label_smoothing": 0.0}}) == old
    assert key_of("train", {"training": {"lr": 0.1, "label_smoothing": 0.1}}) != old


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


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
    def interrupted(directory: Path) -> dict[str, Any]:
        save_tensors(directory, "weights", {"w": torch.zeros(1)})
        raise error

    with pytest.raises(error):
        store.fetch("prune", SETTINGS, interrupted)
    assert list((store.root / "prune").iterdir()) == []
    assert not store.fetch("prune", SETTINGS, writer()).reused


def test_what_a_killed_run_left_is_cleared(store: Store) -> None:
    stale = store.root / "prune" / f".{key_of('prune', SETTINGS)}-killed"
    stale.mkdir(parents=True)
    store.fetch("prune", SETTINGS, writer())
    assert not stale.exists()


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"store_dir=.*cannot be written"):
        Store(tmp_path / "file").open()


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(store: Store) -> None:
    def full(directory: Path) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"store_dir=.*prune.*No space left"):
        store.fetch("prune", SETTINGS, full)
    assert list((store.root / "prune").iterdir()) == []


def compute_in_process(root: Path, barrier: Any) -> None:
    def slow(directory: Path) -> dict[str, Any]:
        with (root / "computed").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return writer()(directory)

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
