"""Image folders that somebody else filled: nothing in them harms, and all of it can be named."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import watching
from damage import assert_is_a_line
from dataset_originals import flat, png, write_folder, write_tree
from PIL import Image

from sanity.core.errors import ConfigError, DataError
from sanity.data import decoders, open_packed
from sanity.data.decoding import Decoded, Form, decode
from sanity.data.tree import list_tree
from sanity.datasets import folder
from sanity.datasets.folder import Folder

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n"


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I4s", len(content), kind)
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def claiming(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that claims so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def deep(form: str, kind: type) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 300, dtype=kind)).save(file, form)
    return file.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / "pets")
    return tmp_path / "pets"


def refusal(root: Path) -> str:
    """Why a tree is refused, while nothing but its packed form may be written."""
    data_dir = root.parent / "data"
    with watching.only_below(data_dir), pytest.raises((ConfigError, DataError)) as caught:
        open_packed(Folder(path=str(root)), data_dir)
    assert_is_a_line(caught.value)
    assert not list(data_dir.glob("folder*"))
    return str(caught.value)


def accepted(root: Path) -> int:
    """How many images of a tree are packed."""
    with watching.only_below(root.parent / "data"):
        packed = open_packed(Folder(path=str(root)), root.parent / "data")
    return len(packed.train) + len(packed.test)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (EPS, "not a readable image (none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP)"),
        (b"", "not a readable image (none of BMP"),
        (claiming(8000, 8000), "8000x8000 pixels are more than 50,000,000: scale it down"),
        (claiming(10_000, 10_000), "not a readable image (Image size (100000000 pixels)"),
        (claiming(2**31 - 1, 2**31 - 1), "not a readable image ("),
        (png(flat(3))[:-30], "not a readable image ("),
        (deep("PNG", np.uint16), "more than 8 bits a channel"),
        (deep("TIFF", np.int32), "more than 8 bits a channel"),
        (deep("TIFF", np.float32), "more than 8 bits a channel"),
    ],
)
def test_files_that_are_no_images_are_named(content: bytes, message: str, root: Path) -> None:
    write_tree(root / "train" / "cat", {"bad.png": content})
    found = refusal(root)
    assert found.startswith(f"{root}/train/cat/bad.png: ")
    assert message in found


def test_what_an_image_costs_is_known_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        pytest.fail("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ValueError, match="scale it down"):
        decode(claiming(8000, 8000), Form(3))


def test_images_that_do_not_fit_on_the_disk_are_one_clear_line(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absurd = np.broadcast_to(np.uint8(0), (10**7, 10**7, 3))
    monkeypatch.setattr(decoders, "decode", lambda *_: Decoded(absurd, set()))
    assert "pets train: 10 images of 10000000x10000000 pixels need 6,000,000.0 GB" in refusal(root)


def test_a_file_of_absurd_size_is_not_read(root: Path) -> None:
    path = root / "train" / "dog" / "huge.png"
    with path.open("wb") as file:
        file.truncate(folder.FILE_BYTES + 1)  # no disk is used for it
    assert refusal(root) == f"{path}: has 268,435,457 bytes, which is more than 268,435,456"


def test_pipes_devices_and_directories_are_no_images(root: Path) -> None:
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    (root / "train" / "cat" / "null.png").symlink_to(os.devnull)
    (root / "train" / "cat" / "directory.png").mkdir()
    assert accepted(root) == 20
    assert list_tree(root).remarks["train"] == [
        "files left out of the training images: .txt (2), no plain file (2)"
    ]


def test_a_pipe_that_takes_an_images_place_is_not_waited_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "train" / "cat" / "0.png"
    listed = list_tree(root)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(folder, "list_tree", lambda root: listed)
    assert refusal(root) == f"{path}: is no plain file"


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"two\nlines.png", b"\x1b[31mred.png", b"\xff.png"]
)
@pytest.mark.parametrize("place", ["cat", os.fsdecode(b"\xe9\x1b[2J")])
def test_names_that_no_terminal_should_see(name: bytes, place: str, root: Path) -> None:
    for split in ("train", "test"):
        (root / split / place).mkdir(exist_ok=True)
    (root / "train" / place / os.fsdecode(name)).write_bytes(png(flat(77, 6)))
    assert accepted(root) == 21
    (root / "train" / place / os.fsdecode(name)).write_bytes(b"no image")
    path = root / "train" / place / os.fsdecode(name)
    os.utime(path, ns=(1, 1))
    data_dir = root.parent / "data"
    with pytest.raises(DataError, match=r"\.png: not a readable image") as caught:
        open_packed(Folder(path=str(root)), data_dir)
    assert_is_a_line(caught.value)


@pytest.mark.parametrize("name", ["caf\udce9", "a\nb", "\x1b[31m", "a[bold]"])
def test_a_tree_may_have_any_name(name: str, root: Path, tmp_path: Path) -> None:
    elsewhere = root.rename(tmp_path / name)
    assert accepted(elsewhere) == 20
    (elsewhere / "train" / "cat" / "0.png").write_bytes(b"no image")
    data_dir = tmp_path / "data"
    with pytest.raises(DataError, match="not a readable image") as caught:
        open_packed(Folder(path=str(elsewhere)), data_dir)
    assert_is_a_line(caught.value)
    (elsewhere / "test").rename(elsewhere / "x")
    with pytest.raises(ConfigError, match="holds no directory test") as refused:
        open_packed(Folder(path=str(elsewhere)), data_dir)
    assert_is_a_line(refused.value)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "a\0b", "/\ud800"])
def test_a_path_that_cannot_be_is_a_wrong_setting(path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory") as caught:
        open_packed(Folder(path=path), tmp_path)
    assert_is_a_line(caught.value)


def test_a_progress_bar_takes_no_orders_from_a_name(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    shown = io.StringIO()
    narrow = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr("sanity.core.console.err", narrow)
    assert accepted(root.rename(tmp_path / "a[bold]\x1b[31m")) == 20
    assert "a[bold]" in shown.getvalue()


def test_a_folder_that_cannot_be_read_is_named_and_not_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "train" / "cat" / "more").mkdir()
    scan = os.scandir

    def forbidden(path: Path) -> object:
        if Path(path).name == "more":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", forbidden)
    assert refusal(root) == f"{root}/train/cat/more cannot be read (Permission denied)"


def test_a_deep_tree_is_read(root: Path) -> None:
    folders = [root / "train" / "cat"]
    try:
        for _ in range(1200):
            folders.append(folders[-1] / "d")
            folders[-1].mkdir()
        (folders[-1] / "deep.png").write_bytes(png(flat(77, 6)))
        assert accepted(root) == 21
    finally:  # which pytest cannot do
        (folders[-1] / "deep.png").unlink(missing_ok=True)
        for path in reversed(folders[1:]):
            path.rmdir()


def test_splits_of_different_sizes_are_refused(root: Path) -> None:
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(png(flat(9, 8)))
    found = refusal(root)
    odd, usual = f"8x8 pixels (10, such as {root}/test/cat/0.png)", "6x6 pixels (10, such as "
    assert found.startswith("10 files cannot be used: images have ")
    assert odd in found
    assert usual in found
    assert found.endswith("must be squares of one size: set dataset.image_size to resize them")
