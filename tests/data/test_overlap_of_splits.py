"""Test images that are training images as well are counted once, told of, or refused."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from dataset_originals import Toy, flat, overwrite, png, toy_examples, write_folder
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from sanity.core.errors import DataError
from sanity.core.files import digest
from sanity.data import open_packed, packing
from sanity.data.contents import digests, find_overlap
from sanity.datasets.base import Examples
from sanity.datasets.digits import Digits
from sanity.datasets.folder import Folder


def toys(train: int, test: int, shared: int) -> dict[str, Examples]:
    """Random images, of which the first ``shared`` of the test set are the last of training."""
    both = toy_examples(train + test)
    images, labels = both.images.clone(), both.labels.clone()
    images[train : train + shared] = images[train - shared : train]
    labels[train : train + shared] = labels[train - shared : train]
    return {
        "train": Examples(images[:train], labels[:train], 2),
        "test": Examples(images[train:], labels[train:], 2),
    }


def with_toys(monkeypatch: pytest.MonkeyPatch, splits: dict[str, Examples]) -> None:
    monkeypatch.setattr(Toy, "read", lambda self, data_dir: splits)


def manifest(home: Path) -> dict[str, Any]:
    return dict(json.loads((home / "manifest.json").read_text()))


def make_old(home: Path) -> None:
    """The manifest as releases wrote it that did not count."""
    facts = manifest(home)
    del facts["overlap"], facts["digest"]
    (home / "manifest.json").write_text(json.dumps(facts, indent=2))


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
    st.sampled_from([(1, 1, 1), (2, 3, 1), (9, 9, 3)]),
)
def test_the_count_is_that_of_a_plain_comparison(
    train: list[int], test: list[int], shape: tuple[int, int, int]
) -> None:
    kinds = torch.zeros(7, *shape, dtype=torch.uint8)
    for kind in range(7):
        kinds[kind, -1, -1, -1] = kind  # the last byte alone tells them apart
    images = {"train": kinds[torch.tensor(train)], "test": kinds[torch.tensor(test)]}
    found = find_overlap({split: digests(one) for split, one in images.items()})
    assert found.count == sum(kind in train for kind in test)
    first = next((i for i, kind in enumerate(test) if kind in train), None)
    assert found.pair == (None if first is None else (first, train.index(test[first])))


def test_none_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert open_packed(Toy(), tmp_path).overlap == 0
    assert manifest(tmp_path / "toy")["overlap"] == 0
    assert "training images" not in caplog.text


def test_digits_do_not_overlap(tmp_path: Path) -> None:
    assert open_packed(Digits(), tmp_path).overlap == 0


@pytest.mark.parametrize("way", ["packed", "adopted", "old"])
def test_some_are_recorded_with_one_warning(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    splits = toys(50, 60, shared=3)
    with_toys(monkeypatch, splits)
    home = tmp_path / "toy"
    if way == "adopted":
        home.mkdir()
        for split, examples in splits.items():
            tensors = {"images": examples.images, "labels": examples.labels}
            save_file(tensors, home / f"{split}.safetensors")
    elif way == "old":
        open_packed(Toy(), tmp_path)
        make_old(home)
        caplog.clear()
    packed = open_packed(Toy(), tmp_path)
    assert packed.overlap == 3
    assert manifest(home)["overlap"] == 3
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    texts = [text for text in map(logging.LogRecord.getMessage, warnings) if "trust" not in text]
    where = "toy" if way == "packed" else str(home)
    assert texts == [f"{where}: 3 of the 60 test images are training images as well"]
    caplog.clear()
    again = open_packed(Toy(), tmp_path)
    assert (again.overlap, again.fingerprint) == (3, packed.fingerprint)
    assert not caplog.records


def test_it_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_packed(Toy(), tmp_path)
    monkeypatch.setattr(packing, "count_overlap", lambda *_, **__: pytest.fail("counted again"))
    open_packed(Toy(), tmp_path)


def test_the_fingerprint_is_what_it_was(tmp_path: Path) -> None:
    """It is part of keys: shape and content of both splits, and nothing of the manifest's own."""
    found = open_packed(Toy(), tmp_path).fingerprint
    parts = []
    for split, count in (("train", 20), ("test", 10)):
        examples = toy_examples(count)
        content = examples.images.numpy().tobytes() + examples.labels.numpy().tobytes()
        parts.append((split, [count, 4, 4, 1], hashlib.sha256(content).hexdigest()))
    assert found == hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    make_old(tmp_path / "toy")
    assert open_packed(Toy(), tmp_path).fingerprint == found


def test_a_manifest_of_an_earlier_release_is_completed(tmp_path: Path) -> None:
    open_packed(Toy(), tmp_path)
    complete = (tmp_path / "toy" / "manifest.json").read_bytes()
    make_old(tmp_path / "toy")
    assert open_packed(Toy(), tmp_path).overlap == 0
    assert (tmp_path / "toy" / "manifest.json").read_bytes() == complete


def test_where_it_cannot_be_completed_it_serves_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(home: Path, manifest: Any) -> None:
        raise OSError(30, "Read-only file system", str(home))

    with_toys(monkeypatch, toys(50, 60, shared=2))
    open_packed(Toy(), tmp_path)
    make_old(tmp_path / "toy")
    old = (tmp_path / "toy" / "manifest.json").read_bytes()
    monkeypatch.setattr(packing, "write_manifest", read_only)
    caplog.clear()
    assert open_packed(Toy(), tmp_path).overlap == 2
    assert (tmp_path / "toy" / "manifest.json").read_bytes() == old
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def say_more_classes(facts: dict[str, Any]) -> None:
    facts["num_classes"] = 3


def say_other_pixels(facts: dict[str, Any]) -> None:
    facts["files"]["train"]["content"] = "0" * 64


def say_another_shape(facts: dict[str, Any]) -> None:
    facts["files"]["train"]["shape"] = [20, 2, 8, 1]


@pytest.mark.parametrize("lie", [say_more_classes, say_other_pixels, say_another_shape])
@pytest.mark.parametrize("form", ["old", "changed"])
def test_a_manifest_that_tells_of_other_contents_is_refused(
    lie: Callable[[dict[str, Any]], None], form: str, tmp_path: Path
) -> None:
    open_packed(Toy(), tmp_path)
    if form == "old":
        make_old(tmp_path / "toy")
    facts = manifest(tmp_path / "toy")
    lie(facts)
    (tmp_path / "toy" / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"tells of other|cannot be used \(its digest|3 classes"):
        open_packed(Toy(), tmp_path)


def test_a_manifest_with_other_classes_than_the_data_set_has_is_refused(tmp_path: Path) -> None:
    open_packed(Toy(), tmp_path)
    facts = manifest(tmp_path / "toy") | {"num_classes": 3}
    del facts["digest"]
    signed = facts | {"digest": digest(facts)}
    (tmp_path / "toy" / "manifest.json").write_text(json.dumps(signed))
    with pytest.raises(DataError, match="3 classes instead of 2"):
        open_packed(Toy(), tmp_path)


@pytest.mark.parametrize("way", ["packed", "adopted", "old", "recorded"])
def test_a_copy_of_the_training_images_is_no_test_set(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_toys(monkeypatch, toys(50, 60, shared=4))  # more than 5 %
    if way != "packed":
        with monkeypatch.context() as patch:
            patch.setattr("sanity.data.contents.MOST", 1.0)
            open_packed(Toy(), tmp_path)
        if way == "old":
            make_old(tmp_path / "toy")
        elif way == "adopted":
            (tmp_path / "toy" / "manifest.json").unlink()
    for _ in range(2):
        with pytest.raises(DataError, match="4 of the 60 test images are training images") as found:
            open_packed(Toy(), tmp_path)
        assert str(found.value).endswith("take them out of one of the two, and run again")
    assert (tmp_path / "toy").exists() is (way != "packed")


def test_a_data_set_whose_pixels_are_published_is_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = toys(50, 60, shared=30)
    with_toys(monkeypatch, splits)
    digests = {
        split: hashlib.sha256(examples.images.numpy().tobytes()).hexdigest()
        for split, examples in splits.items()
    }
    monkeypatch.setattr(Toy, "pixel_digests", digests)
    assert open_packed(Toy(), tmp_path).overlap == 30
    assert open_packed(Toy(), tmp_path).overlap == 30


def test_a_folder_names_an_example(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "pets"
    write_folder(root)
    for i in range(20):  # 30 test images, of which one is 3.3 %
        (root / "test" / "dog" / f"more{i}.png").write_bytes(png(flat(200 + i, 6)))
    copy = root / "test" / "cat" / "copy\n.png"
    copy.write_bytes(png(flat(30, 6)))
    folder = Folder(path=str(root))
    assert open_packed(folder, tmp_path / "data").overlap == 1
    shown = str(copy).replace("\n", " ")
    expected = f"folder: 1 of the 31 test images are training images as well ({shown} is "
    assert f"{expected}{root}/train/cat/3.png)" in caplog.text
    (root / "test" / "dog" / "copy.png").write_bytes(png(flat(0, 6)))
    with pytest.raises(DataError, match=r"2 of the 32 .* is .*/train/cat/[03].png\); test images"):
        open_packed(folder, tmp_path / "data")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("label", "range_"), [(2, "0 to 2"), (-1, "-1 to 1"), (2**62, f"0 to {2**62}")]
)
@pytest.mark.parametrize("way", ["packed", "adopted", "vouched", "old"])
def test_a_label_of_no_class_is_refused_whoever_vouches_for_it(
    way: str, label: int, range_: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = {"train": toy_examples(20), "test": toy_examples(10)}
    splits[split].labels[2] = label
    with_toys(monkeypatch, splits)
    if way != "packed":
        with monkeypatch.context() as patch:
            for name in ("check_form", "check_known", "check_classes", "look_into"):
                patch.setattr(packing, name, lambda *_, **__: [])
            open_packed(Toy(), tmp_path)
        if way == "adopted":
            (tmp_path / "toy" / "manifest.json").unlink()
        elif way == "old":
            make_old(tmp_path / "toy")
    where = f"toy \\({split}\\)" if way == "packed" else f"{split}.safetensors"
    with pytest.raises(DataError, match=f"{where}: labels run from {range_}, not within the 2"):
        open_packed(Toy(), tmp_path)


def test_damage_is_still_noticed_first(tmp_path: Path) -> None:
    open_packed(Toy(), tmp_path)
    make_old(tmp_path / "toy")
    overwrite(tmp_path / "toy" / "test.safetensors")
    with pytest.raises(DataError, match="is corrupted"):
        open_packed(Toy(), tmp_path)
