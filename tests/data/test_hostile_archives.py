"""A Tiny-ImageNet that somebody else made: refused before it costs or reads anything."""

import os
import stat
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import watching
from damage import assert_is_a_line
from dataset_originals import (
    flat,
    jpeg,
    tiny_imagenet_files,
    write_tree,
    write_zip,
)

from sanity.core.errors import DataError
from sanity.data import archive, fetch
from sanity.datasets.tiny_imagenet import TinyImagenet

ROOT = "tiny-imagenet-200"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str, timeout: float) -> Any:
        raise fetch.urllib.error.URLError("no network")

    monkeypatch.setattr(fetch.urllib.request, "urlopen", unreachable)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An archive of Tiny-ImageNet in its place."""
    path = tmp_path / "raw" / "tiny_imagenet" / f"{ROOT}.zip"
    write_zip(path, tiny_imagenet_files())
    return path


def refusal(path: Path) -> str:
    """Why Tiny-ImageNet is refused, while nothing may be written but in its own directory."""
    with watching.only_below(path.parent), pytest.raises(DataError) as caught:
        TinyImagenet().read(path.parents[2])
    assert_is_a_line(caught.value)
    return str(caught.value)


def add(path: Path, info: zipfile.ZipInfo | str, content: bytes = b"x") -> None:
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(info, content)


def claim(path: Path, name: str, offset: int, value: bytes) -> None:
    """Overwrite a field of a member in the archive's index, ``offset`` from the entry's start."""
    content = bytearray(path.read_bytes())
    at = content.rindex(f"{ROOT}/{name}".encode("latin-1")) - 46 + offset
    assert content[at - offset : at - offset + 4] == b"PK\x01\x02"
    content[at : at + len(value)] = value
    path.write_bytes(content)


NAMES = [
    *("/etc/passwd", "../x", f"{ROOT}/../../x", f"{ROOT}/a/../../..", "a\\..\\b", "\\\\host\\x"),
    *("C:/x", "c:x", "C:\\x", f"{ROOT}//../x"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere_are_refused(name: str, path: Path) -> None:
    add(path, name)
    assert "which is no plain file below it: delete it" in refusal(path)


def test_names_that_end_at_a_nul_are_refused(path: Path) -> None:
    add(path, f"{ROOT}/evil_.JPEG")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"evil_.JPEG", b"evil\0.JPEG"))
    assert "evil\\x00.JPEG', which is no plain file" in refusal(path)


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, 0o030000]
)
def test_members_that_are_no_files_are_refused(kind: int, path: Path) -> None:
    info = zipfile.ZipInfo(f"{ROOT}/val/images/special.JPEG")
    info.external_attr = (kind | 0o644) << 16
    add(path, info)
    assert "special.JPEG', which is no plain file below it" in refusal(path)


@pytest.mark.parametrize("name", ["val/images/val_0.JPEG", "./val//images/val_0.JPEG"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_refused(name: str, path: Path) -> None:
    add(path, f"{ROOT}/{name}", jpeg(flat(200)))
    assert "holds 'val/images/val_0.JPEG' twice" in refusal(path)


@pytest.mark.parametrize("field", [20, 24])  # compressed and uncompressed
def test_a_file_of_absurd_size_is_refused_before_it_is_decompressed(
    field: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("it was opened"))
    claim(path, "val/images/val_2.JPEG", field, (archive.FILE_BYTES + 1).to_bytes(4, "little"))
    assert "which claims 33,554,433 bytes, more than 33,554,432" in refusal(path)


@pytest.mark.parametrize("name", ["val/val_annotations.txt", "train/n00000000/images/bomb.JPEG"])
def test_a_bomb_does_not_go_off(name: str, path: Path) -> None:
    files = {**tiny_imagenet_files(), name: bytes(100 << 20)}
    path.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member, content in files.items():
            file.writestr(f"{ROOT}/{member}", content)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        assert "which claims 104,857,600 bytes" in refusal(path)
        claim(path, name, 24, (1000).to_bytes(4, "little"))  # and the size is a lie
        assert f"{path} is damaged there (" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_that_claims_too_many_files_or_bytes_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(archive, "FILES", 10)
        assert "claims more than 10 files or" in refusal(path)
    monkeypatch.setattr(archive, "ALL_BYTES", 1000)
    assert "files or 1,000 bytes of them" in refusal(path)


def test_an_index_of_absurd_size_is_not_read(path: Path) -> None:
    """Ten million members would take gigabytes as soon as zipfile has listed them."""
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    with path.open("r+b") as file:
        file.truncate(200 << 20)  # no disk is used for it
        file.seek(0, os.SEEK_END)
        size = (100 << 20).to_bytes(4, "little")
        file.write(content[end : end + 12] + size + size + bytes(2))
    assert "is damaged (its index claims 104,857,600 bytes, more than 33,554,432)" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_only_methods_that_can_be_bounded_are_decompressed(method: int, path: Path) -> None:
    claim(path, "val/images/val_2.JPEG", 10, method.to_bytes(2, "little"))
    assert "encrypted or compressed in another way" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (6, b"\x63", "zip file version 9.9"),
        (8, b"\x00\x08", "'utf-8' codec can't decode"),
    ],
)
def test_a_damaged_index_is_one_clear_line(
    offset: int, value: bytes, message: str, path: Path
) -> None:
    add(path, f"{ROOT}/caf_")
    claim(path, "caf_", 46 + len(f"{ROOT}/caf"), b"\xe9")
    claim(path, "caf\xe9", offset, value)
    assert f"{path} is damaged (" in refusal(path)
    assert message in refusal(path)


def test_encrypted_members_are_refused(path: Path) -> None:
    claim(path, "val/images/val_2.JPEG", 8, b"\x01\0")
    assert "encrypted or compressed in another way" in refusal(path)


def test_a_pipe_is_no_archive(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    assert "cannot be downloaded (no network)" in refusal(path)


@pytest.mark.parametrize("form", ["zip", "tree"])
@pytest.mark.parametrize(
    "name", ["../../secret.JPEG", "{outside}/secret.JPEG", "..\\x", "", ".", "a\0b"]
)
def test_annotations_name_no_file_elsewhere(form: str, name: str, tmp_path: Path) -> None:
    raw, files = tmp_path / "raw" / "tiny_imagenet", tiny_imagenet_files()
    write_tree(tmp_path, {"secret.JPEG": jpeg(flat(9))})
    write_tree(raw / ROOT / "val" / "images", {})
    write_tree(
        raw, {f"{ROOT}/val/secret.JPEG": jpeg(flat(9)), f"{ROOT}/secret.JPEG": jpeg(flat(9))}
    )
    line = f"\n{name.format(outside=tmp_path)}\tn00000000\t0\t0\t0\t0".encode()
    files["val/val_annotations.txt"] += line
    if form == "tree":
        write_tree(raw / ROOT, files)
    else:
        (raw / ROOT).rename(tmp_path / "away")
        write_zip(raw / f"{ROOT}.zip", files)
    assert "which is not among its images" in refusal(raw / "x")


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (b"\xff\xfe", "val_annotations.txt cannot be read ('utf-8' codec"),
        (b"val_0.JPEG\tn00000000\nval_0.JPEG\tn00000001", "names val_0.JPEG twice"),
        (b"\x1b[31mval\tn9", "\N{REPLACEMENT CHARACTER}[31mval a class without images"),
        (b"x" * 100_000, " a class without images"),
    ],
)
def test_annotations_that_are_wrong_are_named(annotations: bytes, message: str, path: Path) -> None:
    path.unlink()
    write_zip(path, {**tiny_imagenet_files(), "val/val_annotations.txt": annotations})
    assert message in refusal(path)


@pytest.mark.parametrize("name", ["val/val_annotations.txt", "val/images/val_1.JPEG"])
def test_a_file_of_absurd_size_in_the_tree_is_not_read(name: str, tmp_path: Path) -> None:
    tree = tmp_path / "raw" / "tiny_imagenet" / ROOT
    write_tree(tree, tiny_imagenet_files())
    with (tree / name).open("wb") as file:
        file.truncate(archive.FILE_BYTES + 1)
    assert "has 33,554,433 bytes, which is more than 33,554,432" in refusal(tree)


def test_links_in_the_tree_are_the_users_own(tmp_path: Path) -> None:
    tree = tmp_path / "raw" / "tiny_imagenet" / ROOT
    write_tree(tree, tiny_imagenet_files())
    image = tree / "val" / "images" / "val_1.JPEG"
    image.rename(tmp_path / "elsewhere.JPEG")
    image.symlink_to(tmp_path / "elsewhere.JPEG")
    assert len(TinyImagenet().read(tmp_path)["test"]) == 3
