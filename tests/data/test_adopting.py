"""Packed files that somebody else put there: checked for all that is known, then adopted."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import assert_is_a_line
from dataset_originals import Toy, assert_is_toy, overwrite, times_read, toy_examples
from safetensors.torch import save_file

from sanity.core.errors import DataError, StoreError
from sanity.data import open_packed, packing


def write_by_hand(home: Path, **changes: torch.Tensor) -> None:
    """Packed files without a manifest, as an external script would write them."""
    home.mkdir()
    for split, count in (("train", 20), ("test", 10)):
        examples = toy_examples(count)
        tensors = {"images": examples.images, "labels": examples.labels}
        save_file(tensors | (changes if split == "train" else {}), home / f"{split}.safetensors")


def test_files_without_a_manifest_are_adopted(tmp_path: Path) -> None:
    packed = open_packed(Toy(), tmp_path / "packed")
    write_by_hand(tmp_path / "toy")
    adopted = open_packed(Toy(), tmp_path)
    assert times_read(tmp_path) == 0
    assert adopted.fingerprint == packed.fingerprint
    assert_is_toy(tmp_path)
    overwrite(tmp_path / "toy" / "train.safetensors")
    with pytest.raises(DataError, match="is corrupted"):
        open_packed(Toy(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(20, 4, 4, 1)}, "holds .*'F32'"),
        ({"labels": torch.zeros(20, dtype=torch.int32)}, "holds .*'I32'"),
        ({"other": torch.zeros(20)}, "holds .*'other'"),
        ({"x" * 100_000 + "\x1b": torch.zeros(20)}, "holds .{1900,2100}, not images"),
        ({"images": torch.zeros(20, 1, 4, 4, dtype=torch.uint8)}, r"not \[4, 4, 1\]"),
        ({"images": torch.zeros(19, 4, 4, 1, dtype=torch.uint8)}, r"are no \[N, H, W, C\]"),
        ({"images": torch.zeros(20, 16, dtype=torch.uint8)}, r"are no \[N, H, W, C\]"),
        ({"labels": torch.arange(20)}, "labels run from 0 to 19, not within the 2 classes"),
        ({"labels": torch.arange(20) % 2 - 1}, "labels run from -1 to 0"),
        (
            {"labels": torch.zeros(20, dtype=torch.int64)},
            "only 1 of 2 classes occur .*; there is none of 1",
        ),
    ],
)
def test_files_of_the_wrong_form_are_not_adopted(
    changes: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    write_by_hand(tmp_path / "toy", **changes)
    with pytest.raises(DataError, match=message) as caught:
        open_packed(Toy(), tmp_path)
    assert str(tmp_path / "toy") in str(caught.value)
    assert_is_a_line(caught.value)
    assert not (tmp_path / "toy" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("size", "message"), [(0, r"images are \[0, 0, 1\]"), (5, "are \\[5, 5\\]")]
)
def test_images_of_no_size_or_two_are_not_adopted(size: int, message: str, tmp_path: Path) -> None:
    write_by_hand(tmp_path / "toy", images=torch.zeros(20, size, size, 1, dtype=torch.uint8))
    with pytest.raises(DataError, match=message):
        open_packed(Toy(image_size=None), tmp_path)


@pytest.mark.parametrize(
    ("fact", "value", "message"),
    [
        ("sizes", {"train": 21}, "20 images instead of 21"),
        ("pixel_digests", {"test": "0" * 64}, "these are not the pixels of toy"),
        ("label_digests", {"train": "0" * 64}, "these are not the labels of toy"),
    ],
)
def test_published_facts_are_held_against_adopted_files(
    fact: str, value: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Toy, fact, value)
    write_by_hand(tmp_path / "toy")
    with pytest.raises(DataError, match=message):
        open_packed(Toy(), tmp_path)


def test_pixels_above_the_largest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a pixel is 25\d, above dataset.pixel_max=16"):
        open_packed(Toy(pixel_max=16), tmp_path)
    assert not (tmp_path / "toy").exists()


def test_a_truncated_file_without_a_manifest_is_refused(tmp_path: Path) -> None:
    write_by_hand(tmp_path / "toy")
    path = tmp_path / "toy" / "train.safetensors"
    for size in (100, 3, 0):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(DataError, match=r"train.safetensors is truncated or no safetensors"):
            open_packed(Toy(), tmp_path)


def test_a_read_only_directory_serves_without_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(home: Path, manifest: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(home))

    write_by_hand(tmp_path / "toy")
    monkeypatch.setattr(packing, "write_manifest", read_only)
    first = open_packed(Toy(), tmp_path).fingerprint
    assert open_packed(Toy(), tmp_path).fingerprint == first
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "test.safetensors",
        "toy",
        "train.safetensors",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions_are_respected(tmp_path: Path) -> None:
    write_by_hand(tmp_path / "toy")
    (tmp_path / "toy").chmod(0o555)
    tmp_path.chmod(0o555)
    try:
        assert_is_toy(tmp_path)
        with pytest.raises(StoreError, match=r"data_dir=.*Permission denied"):
            open_packed(Toy(name="other"), tmp_path)
    finally:
        tmp_path.chmod(0o755)
        (tmp_path / "toy").chmod(0o755)
