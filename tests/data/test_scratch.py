"""Pixels wait for their packed file in memory or on the disk, and are the same."""

import os
import resource
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from dataset_originals import random_pixels, write_folder

from sanity.core.errors import DataError
from sanity.data import open_packed, scratch
from sanity.data.scratch import Scratch
from sanity.datasets.folder import Folder

PIXELS = random_pixels(5, 4, 3, 3)


@pytest.mark.parametrize("small", [0, scratch.SMALL])
def test_images_come_back_in_order_and_outlive_the_file(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "SMALL", small)
    with closing(Scratch(tmp_path, 5, "pets train")) as room:
        for position, pixels in enumerate(PIXELS):
            room.add(pixels[:, ::-1])  # not as they lie in memory
            if position == 2:
                room.add(np.zeros((2, 2, 3), dtype=np.uint8))  # of another size
        images = room.images()
        assert not os.listdir(tmp_path)  # noqa: PTH208 - hidden files as well
    assert np.array_equal(images, PIXELS[:, :, ::-1])


@pytest.mark.parametrize("small", [0, scratch.SMALL])
def test_missing_images_leave_the_others_where_they_are(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "SMALL", small)
    with closing(Scratch(tmp_path, 9, "pets train")) as room:
        for pixels in PIXELS:
            room.add(pixels)
        assert room.images().shape == (9, 4, 3, 3)
        assert np.array_equal(room.images()[:5], PIXELS)
    with closing(Scratch(tmp_path, 9, "pets train")) as room:
        assert room.images().numel() == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_what_is_on_the_disk_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "SMALL", 0)
    pixels = np.full((1000, 1000, 1), 7, dtype=np.uint8)
    with closing(Scratch(tmp_path, 60, "pets train")) as room:
        before = resident()
        for _ in range(60):
            room.add(pixels)
        images = room.images()
        assert resident() - before < 20
        assert int(images.max()) == 7
        assert resident() - before > 40, "the measurement does not see mapped pages"


def resident() -> float:
    """Resident memory in MB, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def test_a_disk_without_room_is_one_line_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "SMALL", 0)
    count = 10**12
    room = Scratch(tmp_path, count, "pets train")
    with pytest.raises(DataError) as caught:
        room.add(PIXELS[0])
    assert str(caught.value).startswith(
        "pets train: 1,000,000,000,000 images of 3x4 pixels need 72,000.0 GB, and "
    )


def test_a_folder_is_packed_alike_from_memory_and_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "pets")
    pets = Folder(path=str(tmp_path / "pets"))
    from_memory = open_packed(pets, tmp_path / "a")
    monkeypatch.setattr(scratch, "SMALL", 0)
    assert open_packed(pets, tmp_path / "b").fingerprint == from_memory.fingerprint
