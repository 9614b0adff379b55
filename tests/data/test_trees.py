"""Nothing of a tree of images is left out, confused or taken for something else in silence."""

import logging
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from damage import assert_is_a_line
from dataset_originals import flat, jpeg, png, write_folder, write_tree

from sanity.core.errors import ConfigError, DataError
from sanity.data import images, open_packed
from sanity.data.tree import list_tree
from sanity.datasets.base import Packed
from sanity.datasets.folder import Folder

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / "pets")
    for notes in (tmp_path / "pets").rglob("notes.txt"):
        notes.unlink()
    return tmp_path / "pets"


def opened(root: Path, **settings: str) -> Packed:
    return open_packed(Folder(path=str(root), **settings), root.parent / "data")  # type: ignore[arg-type]


def refusal(root: Path) -> str:
    with pytest.raises((ConfigError, DataError)) as caught:
        opened(root)
    assert_is_a_line(caught.value)
    return str(caught.value)


def test_an_ordinary_tree_is_worth_no_remark(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for shade, path in enumerate(sorted(root.rglob("*.png"))):
        pixels = flat(shade, 6)
        pixels[0, 0] = 255
        path.write_bytes(png(pixels))
    assert opened(root).remarks == ()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".JPEG", ".JFIF"])
def test_a_jpeg_by_any_name_is_an_image(suffix: str, root: Path) -> None:
    (root / "train" / "cat" / f"x{suffix}").write_bytes(jpeg(flat(77, 6)))
    packed = opened(root)
    assert len(packed.train) == 11
    assert not [remark for remark in packed.remarks if "left out" in remark]


def test_what_is_left_out_is_counted_by_kind(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    cat = root / "train" / "cat"
    image = png(flat(77, 6))
    write_tree(cat, {f"{i}.heic": b"x" for i in range(3)} | {"README": b"", ".DS_Store": b""})
    write_tree(cat, {"._0.png": b"", ".thumbnails/0.png": image, "below/.x/0.png": image})
    write_tree(root / "train", {"loose.png": image, "labels.csv": b""})
    packed = opened(root)
    assert len(packed.train) == 10
    expected = (
        "files left out of the training images: .heic (3), hidden (3), without a suffix (1), "
        "in no class folder (1)"
    )
    assert expected in packed.remarks
    assert f"folder: {expected}" in caplog.messages
    caplog.clear()
    assert opened(root).remarks == packed.remarks
    assert not caplog.records


def test_linked_folders_are_entered_once(root: Path, tmp_path: Path) -> None:
    cat = root / "train" / "cat"
    write_tree(tmp_path / "elsewhere", {f"{i}.png": png(flat(60 + i, 6)) for i in range(4)})
    (cat / "a").symlink_to(tmp_path / "elsewhere")
    (cat / "b").symlink_to(tmp_path / "elsewhere")
    (cat / "real").mkdir()
    (cat / "0link").symlink_to(cat / "real")
    (cat / "real" / "c.png").write_bytes(png(flat(70, 6)))
    (cat / "real" / "up").symlink_to(cat)  # a cycle
    files = [Path(name).relative_to(cat) for name, label in list_tree(root).files["train"][:10]]
    assert [str(file) for file in files[5:]] == [*(f"a/{i}.png" for i in range(4)), "real/c.png"]
    assert len(opened(root).train) == 15


def test_files_keep_the_order_of_paths(root: Path) -> None:
    """It decides in which order images are packed, and so the keys of stored results."""
    cat = root / "train" / "cat"
    for name in ("a/1.png", "a-b/1.png", "a.png", "a b/1.png"):
        write_tree(cat, {name: png(flat(77, 6))})
    files = [Path(name) for name, label in list_tree(root).files["train"] if label == 0]
    assert files == sorted(cat.rglob("*.png"))


@pytest.mark.parametrize("name", ["train/cat/gone.png", "train/emu", "test/cat/gone.jpg", "val"])
def test_links_that_lead_nowhere(name: str, root: Path) -> None:
    (root / name).symlink_to(root / "nowhere")
    if name == "val":
        assert len(opened(root).test) == 10
        return
    assert f"{root / name}: a link that leads nowhere" in refusal(root)
    (root / name).unlink()
    (root / name).symlink_to(root / name)  # to itself
    assert f"{root / name}: a link that leads nowhere" in refusal(root)


def test_all_links_that_lead_nowhere_are_told_at_once(root: Path) -> None:
    for i in range(7):
        (root / "train" / "dog" / f"gone{i}.png").symlink_to(root / "nowhere")
    (root / "train" / "cat" / "gone.png").symlink_to(root / "nowhere")
    found = refusal(root)
    assert found.startswith(f"8 links lead nowhere: {root}/train/cat/gone.png, {root}/train/dog/")
    assert found.endswith("and 5 more; fetch what is missing, or remove it")


def test_all_bad_files_of_both_splits_are_told_at_once(root: Path) -> None:
    for i in range(5):
        write_tree(root, {f"train/dog/bad{i}.png": b"no image"})
    write_tree(
        root, {"test/cat/cut.png": png(flat(9, 6))[:-30], "test/dog/big.png": png(flat(9, 8))}
    )
    found = refusal(root)
    assert found.startswith("7 files cannot be used: ")
    assert f"{root}/train/dog/bad0.png, {root}/train/dog/bad1.png, " in found
    assert f"{root}/train/dog/bad2.png and 2 more: not a readable image" in found
    assert f"{root}/test/cat/cut.png: not a readable image" in found
    assert f"8x8 pixels (1, such as {root}/test/dog/big.png)" in found


def test_a_tree_full_of_bad_files_is_not_read_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "ENOUGH", 4)
    for path in (root / "train").rglob("*.png"):
        path.write_bytes(b"no image")
    assert refusal(root).startswith("at least 4 files cannot be used: ")


@pytest.mark.parametrize("content", ["", "1.png", "images/1.png"])
def test_val_serves_where_test_has_no_labels(content: str, root: Path) -> None:
    (root / "test").rename(root / "val")
    (root / "test").mkdir()
    if content:
        write_tree(root / "test", {content: png(flat(9, 6))})
    packed = opened(root)
    assert len(packed.test) == 10
    assert (
        "val is the test set; test, not sorted into the classes of train, is not used"
        in packed.remarks
    )


def test_without_val_images_in_no_class_folder_are_no_test_set(root: Path) -> None:
    for i, path in enumerate((root / "test").rglob("*.png")):
        path.rename(root / "test" / f"{i}.png")
    for name in ("cat", "dog"):
        (root / "test" / name).rmdir()
    assert f"{root}/test holds no images" in refusal(root)
    assert refusal(root).endswith("but 10 images in no folder that is a class")


def test_val_beside_test_is_told_to_be_left_out(root: Path) -> None:
    write_tree(root / "val" / "cat", {"1.png": png(flat(1, 6))})
    assert "test is the test set; val is not used" in opened(root).remarks


@pytest.mark.parametrize(("first", "second"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_the_unicode_form_of_a_name_is_no_matter(first: str, second: str, root: Path) -> None:
    (root / "train" / "cat").rename(root / "train" / first)
    (root / "test" / "cat").rename(root / "test" / second)
    packed = opened(root)
    assert packed.test.labels.tolist() == packed.train.labels.tolist()
    write_tree(root / "train" / second, {"1.png": png(flat(99, 6))})
    found = refusal(root)
    assert "names that differ in nothing but their Unicode form" in found


@pytest.mark.parametrize("name", ["Cat", "cat ", "ｃａｔ", "c\u200bat"])
def test_names_that_look_the_same(name: str, root: Path) -> None:
    write_tree(root / "train" / name, {"1.png": png(flat(99, 6))})
    assert any(text.startswith("classes whose names are nearly") for text in opened(root).remarks)
    (root / "train" / name).rename(root / "test" / name)
    assert "/train has no such class: " in refusal(root)
    assert refusal(root).endswith(" (but cat)")


def move_test(root: Path) -> None:
    (root / "train").rename(root / "Train")


def add_classes(root: Path) -> None:
    for name in ("emu", "fox"):
        (root / "test" / name).mkdir()


def empty_classes(root: Path) -> None:
    write_tree(root / "train", {"emu/1.heic": b"", "fox/.keep": b""})


def no_classes(root: Path) -> None:
    for name in ("cat", "dog"):
        (root / "train" / name).rename(root / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (move_test, "holds no directory train (but Train, test)"),
        (add_classes, "/train has no such class: emu, fox"),
        (empty_classes, "/train/fox hold no images (.apng, .bmp, "),
        (empty_classes, ", but .heic (1)"),
        (no_classes, "/train holds no images (.apng, .bmp, "),
    ],
)
def test_all_that_is_wrong_is_named(
    change: Callable[[Path], None], message: str, root: Path
) -> None:
    change(root)
    assert message in refusal(root)


def test_an_exchanged_file_of_the_same_size_and_time_is_noticed(root: Path) -> None:
    path = root / "train" / "cat" / "x.ppm"
    path.write_bytes(b"P6 6 6 255\n" + bytes([8] * 108))
    before, status = opened(root).fingerprint, path.stat()
    path.write_bytes(b"P6 6 6 255\n" + bytes([9] * 108))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert opened(root).fingerprint != before


def test_what_an_earlier_release_decoded_is_decoded_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanity.datasets.folder.REVISION", 1)
    before = opened(root)
    manifest = next((root.parent / "data").glob("folder-*/manifest.json"))
    old = manifest.read_text()
    monkeypatch.undo()
    assert opened(root).fingerprint == before.fingerprint  # the keys of its results stay
    assert manifest.read_text() != old


def test_backgrounds_have_directories_of_their_own() -> None:
    plain, white = Folder(path="/a/pets"), Folder(path="/a/pets", background="white")
    assert plain.packed_as == "folder-pets-76a0bf21430f"  # as it has always been
    assert plain.packed_as != white.packed_as
