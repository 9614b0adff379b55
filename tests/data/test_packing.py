"""Packed once, opened without copying, and never wrong unnoticed."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from dataset_originals import (
    Toy,
    assert_is_toy,
    flat,
    overwrite,
    png,
    times_read,
    toy_examples,
    write_folder,
    write_tree,
)
from safetensors.torch import load_file

from sanity.core.errors import DataError, SanityError, StoreError
from sanity.data import open_packed, packed_files, packing
from sanity.datasets.base import Examples
from sanity.datasets.folder import Folder

SCRIPT = """
import sys
from pathlib import Path
from dataset_originals import Toy
from sanity.data import open_packed
print(open_packed(Toy(seconds=float(sys.argv[2])), Path(sys.argv[1])).fingerprint)
"""


def start(data_dir: Path, seconds: float) -> "subprocess.Popen[str]":
    """Another process that packs the toy data set, reading it for so many seconds."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(data_dir), str(seconds)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def left_over(data_dir: Path) -> list[str]:
    return [path.name for path in data_dir.rglob("*") if ".partial" in path.name]


def test_packed_once_and_the_same_ever_after(tmp_path: Path) -> None:
    first = open_packed(Toy(), tmp_path)
    again = open_packed(Toy(), tmp_path)
    assert times_read(tmp_path) == 1
    assert first.fingerprint == again.fingerprint
    assert_is_toy(tmp_path)
    assert not left_over(tmp_path)


def test_packed_files_are_plain_safetensors_with_a_manifest(tmp_path: Path) -> None:
    open_packed(Toy(), tmp_path)
    tensors = load_file(tmp_path / "toy" / "train.safetensors")
    assert torch.equal(tensors["images"], toy_examples(20).images)
    manifest = json.loads((tmp_path / "toy" / "manifest.json").read_text())
    path = tmp_path / "toy" / "train.safetensors"
    facts = manifest["files"]["train"]
    assert facts["sha256"] == packed_files.sha256(path)
    assert (facts["bytes"], facts["shape"]) == (path.stat().st_size, [20, 4, 4, 1])
    assert path.stat().st_mode & 0o777 == (tmp_path / "toy").stat().st_mode & 0o666


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_opening_maps_the_file_and_copies_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = {"train": toy_examples(40_000, size=32), "test": toy_examples(10, size=32)}
    monkeypatch.setattr(Toy, "read", lambda self, data_dir: big)
    toy = Toy(image_size=32)
    open_packed(toy, tmp_path)
    before = resident()
    packed = open_packed(toy, tmp_path)
    opened = resident()
    assert str(tmp_path / "toy" / "train.safetensors") in Path("/proc/self/maps").read_text()
    assert opened - before < 10, "the 40 MB are in memory before they were touched"
    assert torch.equal(packed.train.images, big["train"].images)
    assert resident() - opened > 30, "the measurement does not see mapped pages"


def resident() -> float:
    """Resident memory in MB, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def test_writing_to_the_tensors_leaves_the_file_alone(tmp_path: Path) -> None:
    packed = open_packed(Toy(), tmp_path)
    packed.train.images.zero_()
    packed.train.labels.zero_()
    assert_is_toy(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (overwrite, r"test.safetensors is corrupted .*: delete it to pack it again"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), r"test.safetensors has \d+ bytes"),
        (lambda path: path.write_bytes(b""), r"test.safetensors has 0 bytes"),
    ],
)
def test_a_damaged_file_is_one_clear_line_and_deleting_it_helps(
    damage: Callable[[Path], Any], message: str, tmp_path: Path
) -> None:
    open_packed(Toy(), tmp_path)
    path = tmp_path / "toy" / "test.safetensors"
    damage(path)
    with pytest.raises(DataError, match=message) as caught:
        open_packed(Toy(), tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    path.unlink()
    assert_is_toy(tmp_path)
    assert times_read(tmp_path) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 0}', '{"format": 1, "files": {}}'])
def test_a_damaged_manifest_is_one_clear_line_and_deleting_it_helps(
    text: str, tmp_path: Path
) -> None:
    open_packed(Toy(), tmp_path)
    path = tmp_path / "toy" / "manifest.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"manifest.json cannot be used .*: delete it"):
        open_packed(Toy(), tmp_path)
    path.unlink()
    assert_is_toy(tmp_path)
    assert times_read(tmp_path) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("step", ["write_split", "describe", "write_manifest"])
def test_an_interrupted_packing_leaves_nothing_in_the_way(
    step: str, stop: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr(packing, step, interrupted)
        with pytest.raises(stop):
            open_packed(Toy(), tmp_path)
    assert not left_over(tmp_path)
    assert_is_toy(tmp_path)


def test_a_half_installed_folder_is_packed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "pets")
    folder = Folder(path=str(tmp_path / "pets"))
    first = open_packed(folder, tmp_path)
    (tmp_path / folder.packed_as / "manifest.json").unlink()
    overwrite(tmp_path / folder.packed_as / "train.safetensors")
    assert open_packed(folder, tmp_path).fingerprint == first.fingerprint


@pytest.mark.slow
def test_two_processes_pack_once(tmp_path: Path) -> None:
    processes = [start(tmp_path, seconds=2) for _ in range(2)]
    fingerprints = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(set(fingerprints)) == 1
    assert times_read(tmp_path) == 1
    assert_is_toy(tmp_path)


@pytest.mark.slow
def test_a_killed_packing_is_swept_up(tmp_path: Path) -> None:
    process = start(tmp_path, seconds=60)
    try:
        deadline = time.monotonic() + 60
        while not times_read(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert left_over(tmp_path) == [".toy.partial"]
    assert_is_toy(tmp_path)
    assert not left_over(tmp_path)


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = {"train": toy_examples(20, size=100), "test": toy_examples(10, size=100)}
    monkeypatch.setattr(Toy, "read", lambda self, data_dir: big)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(StoreError) as caught:
            open_packed(Toy(image_size=100), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"data_dir={tmp_path}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not left_over(tmp_path)
    assert not (tmp_path / "toy").exists()


def test_what_the_disk_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, examples: Examples) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(packing, "write_split", full)
    with pytest.raises(StoreError, match=r"data_dir=.*: No space left on device at .*make room"):
        open_packed(Toy(), tmp_path)
    with pytest.raises(StoreError, match="data_dir="):
        open_packed(Toy(), tmp_path / "log" / "below-a-file")


@pytest.mark.parametrize("change", ["add", "remove", "edit"])
def test_a_changed_tree_is_packed_again(change: str, tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write_folder(root)
    folder = Folder(path=str(root))
    before = open_packed(folder, tmp_path)
    assert open_packed(folder, tmp_path).fingerprint == before.fingerprint
    if change == "add":
        write_tree(root / "train" / "cat", {"new.png": png(flat(99, 6))})
    elif change == "remove":
        (root / "train" / "cat" / "1.png").unlink()
    else:
        write_tree(root / "test" / "dog", {"1.png": png(flat(99, 6))})
    after = open_packed(folder, tmp_path)
    assert after.fingerprint != before.fingerprint
    expected = {"add": 11, "remove": 9, "edit": 10}[change]
    assert len(after.train) == expected


def test_every_tree_and_form_has_its_own_directory() -> None:
    folders = [
        Folder(path="/a/pets"),
        Folder(path="/b/pets"),
        Folder(path="/a/pets", image_size=8),
        Folder(path="/a/pets", channels=1),
    ]
    names = [folder.packed_as for folder in folders]
    assert len(set(names)) == 4
    assert all(name.startswith("folder-pets-") for name in names)
    assert "/" not in Folder(path="/a/my pets/../é").packed_as


def test_errors_of_this_package_are_the_users(tmp_path: Path) -> None:
    with pytest.raises(SanityError) as caught:
        open_packed(Folder(path=str(tmp_path / "nowhere")), tmp_path)
    assert str(tmp_path / "nowhere") in str(caught.value)
