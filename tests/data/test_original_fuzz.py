"""Whatever original files hold, they are read or refused in one line; nothing else happens."""

import gzip
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import watching
from damage import assert_is_a_line, damaged
from dataset_originals import idx, png, random_pixels
from hypothesis import given, settings
from hypothesis import strategies as st

from sanity.core.errors import ConfigError, DataError
from sanity.data import fetch
from sanity.datasets import fashion_mnist
from sanity.datasets.base import Examples
from sanity.datasets.fashion_mnist import parse_idx
from sanity.datasets.folder import Folder
from sanity.datasets.tiny_imagenet import TinyImagenet

ROOT = "tiny-imagenet-200"
FUZZ = settings(max_examples=watching.examples(250), deadline=None)


def tiny_files() -> dict[str, bytes]:
    """The least that Tiny-ImageNet consists of, with images of 75 bytes (PNG in truth)."""
    images = [png(pixels) for pixels in random_pixels(5, 2, 2, 3)]
    return {
        f"{ROOT}/train/n1/images/a.JPEG": images[0],
        f"{ROOT}/train/n2/images/b.JPEG": images[1],
        f"{ROOT}/val/images/c.JPEG": images[2],
        f"{ROOT}/val/images/d.JPEG": images[3],
        f"{ROOT}/val/val_annotations.txt": b"c.JPEG\tn1\t0\nd.JPEG\tn2\t0",
    }


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("shorter")  # which would cut the name at a NUL
            info.filename, info.compress_type = name, method
            archive.writestr(info, content)
    return file.getvalue()


ZIPS = [zipped(tiny_files()), zipped(tiny_files(), zipfile.ZIP_STORED)]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str, timeout: float) -> Any:
        raise fetch.urllib.error.URLError("no network")

    monkeypatch.setattr(fetch.urllib.request, "urlopen", unreachable)


def read_zip(content: bytes) -> dict[str, Examples] | None:
    """What an archive is read as, None where it is refused as it should be."""
    with tempfile.TemporaryDirectory() as directory:
        raw = Path(directory) / "raw" / "tiny_imagenet"
        raw.mkdir(parents=True)
        (raw / f"{ROOT}.zip").write_bytes(content)
        with watching.only_below(raw):
            try:
                return TinyImagenet().read(Path(directory))
            except DataError as error:
                assert_is_a_line(error)
                return None


def assert_are_images(splits: dict[str, Examples]) -> None:
    for examples in splits.values():
        assert len(examples.images) == len(examples.labels)
        assert all(0 <= label < examples.num_classes for label in examples.labels.tolist())


@pytest.mark.parametrize("content", ZIPS)
def test_the_archives_are_sound(content: bytes) -> None:
    splits = read_zip(content)
    assert splits is not None
    assert [len(examples) for examples in splits.values()] == [2, 2]


@FUZZ
@given(content=st.sampled_from(ZIPS).flatmap(damaged))
def test_damaged_archives(content: bytes) -> None:
    splits = read_zip(content)
    if splits is not None:
        assert_are_images(splits)


parts = st.sampled_from(
    [
        *(ROOT, "train", "val", "images", "n1", "n2", "n3", "a.JPEG", "c.JPEG", "d.jpg"),
        *("..", ".", "", "/", "\\", "C:", "a\0b", "\x1b[31m", "\n", "caf\xe9", "x" * 300),
    ]
) | st.text(max_size=5).filter(lambda text: text.isprintable())
names = st.lists(parts, min_size=1, max_size=6).map("/".join).filter(len)


@FUZZ
@given(members=st.dictionaries(names, st.sampled_from([b"", *tiny_files().values()]), max_size=5))
def test_archives_with_members_of_any_name(members: dict[str, bytes]) -> None:
    splits = read_zip(zipped(tiny_files() | members))
    if splits is not None:
        assert_are_images(splits)


annotation = st.lists(
    st.lists(
        st.sampled_from(["c.JPEG", "d.JPEG", "n1", "n9", "0", "../../a", "/etc/passwd"]), max_size=4
    )
    .map("\t".join)
    .map(str.encode)
    | st.binary(max_size=30),
    max_size=4,
).map(b"\n".join)


@FUZZ
@given(text=annotation, form=st.sampled_from(["zip", "tree"]))
def test_any_annotations(text: bytes, form: str) -> None:
    files = tiny_files() | {f"{ROOT}/val/val_annotations.txt": text}
    if form == "zip":
        splits = read_zip(zipped(files))
    else:
        with tempfile.TemporaryDirectory() as directory:
            for name, content in files.items():
                path = Path(directory) / "raw" / "tiny_imagenet" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            with watching.only_below():
                try:
                    splits = TinyImagenet().read(Path(directory))
                except DataError as error:
                    assert_is_a_line(error)
                    return
    if splits is not None:
        assert len(splits["test"]) <= 2


IDX = [idx(random_pixels(2, 3, 3)), idx(np.arange(4, dtype=np.uint8))]


@FUZZ
@given(content=st.sampled_from(IDX).flatmap(damaged), dimensions=st.sampled_from([1, 3]))
def test_damaged_idx_files(content: bytes, dimensions: int) -> None:
    with watching.only_below():
        try:
            found = parse_idx(content, dimensions)
        except ValueError as error:
            assert_is_a_line(error)
            return
    assert found.ndim == dimensions
    assert content.endswith(found.numpy().tobytes())


@FUZZ
@given(
    sizes=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3), rest=st.binary(max_size=9)
)
def test_idx_files_of_any_size(sizes: list[int], rest: bytes) -> None:
    numbers = np.array([0x0800 + len(sizes), *sizes], dtype=">u4").tobytes()
    try:
        found = parse_idx(numbers + rest, len(sizes))
    except ValueError as error:
        assert_is_a_line(error)
        return
    assert list(found.shape) == sizes


@FUZZ
@given(content=damaged(gzip.compress(IDX[0])))
def test_damaged_gzip_files(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.gz"
        path.write_bytes(content)
        with watching.only_below():
            assert len(fashion_mnist._unzipped(path)) <= fashion_mnist.LARGEST


@FUZZ
@given(
    images=damaged(idx(random_pixels(2, 28, 28)), most=1),
    labels=damaged(idx(np.arange(2, dtype=np.uint8)), most=1),
)
def test_fashion_mnist_of_any_content(images: bytes, labels: bytes) -> None:
    """As if their digests were the published ones."""
    contents = iter([images, labels])
    with pytest.MonkeyPatch.context() as patch, watching.only_below():
        patch.setattr(fashion_mnist, "_content", lambda name, raw: next(contents))
        try:
            fashion_mnist._read_split("train", Path("nowhere"))
        except DataError as error:
            assert_is_a_line(error)


tree_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..")) | st.binary(min_size=1, max_size=9).map(
    lambda name: (
        "n" + name.replace(b"/", b"").replace(b"\0", b"").decode("utf-8", "surrogateescape")
    )
)


@FUZZ
@given(
    kinds=st.lists(tree_names, min_size=1, max_size=3, unique=True),
    image=tree_names,
    bad=st.booleans(),
)
def test_folders_with_any_names(kinds: list[str], image: str, bad: bool) -> None:
    pixels = iter(random_pixels(len(kinds) * 4, 2, 2, 3))
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "pets"
        for split in ("train", "test"):
            for kind in kinds:
                place = root / split / kind
                place.mkdir(parents=True)
                (place / f"x{image}.png").write_bytes(b"bad" if bad else png(next(pixels)))
        with watching.only_below():
            try:
                folder = Folder(path=str(root))
                assert folder.source_digest()
                splits = folder.read(root)
            except (ConfigError, DataError) as error:
                assert_is_a_line(error)
                assert bad or any(kind.startswith(".") for kind in kinds)
                return
    assert not bad
    assert len(splits["train"]) == sum(not kind.startswith(".") for kind in kinds)
