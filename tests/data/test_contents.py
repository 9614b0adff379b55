"""What images and labels show that makes results worth less: refused, or counted and told once."""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from damage import assert_is_a_line
from dataset_originals import Toy, flat, png, toy_examples, write_folder, write_tree
from safetensors.torch import save_file
from torch import Tensor

from sanity.core.errors import ConfigError, DataError
from sanity.core.files import digest
from sanity.data import lost_classes, open_packed, packing, split
from sanity.data.contents import hash_images, look_into
from sanity.datasets.base import Examples
from sanity.datasets.folder import Folder


@dataclasses.dataclass
class Pets(Toy):
    """Three classes with names."""

    num_classes: int | None = 3

    def class_names(self) -> tuple[str, ...]:
        return ("cat", "dog", "emu")


def examples(labels: list[int], seed: int) -> Examples:
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (len(labels), 4, 4, 1), generator=random)
    return Examples(images.to(torch.uint8), torch.tensor(labels), 3)


def with_labels(
    monkeypatch: pytest.MonkeyPatch, train: list[int], test: list[int]
) -> dict[str, Examples]:
    splits = {"train": examples(train, 0), "test": examples(test, 1)}
    monkeypatch.setattr(Pets, "read", lambda self, data_dir: splits)
    return splits


def place(way: str, home: Path, splits: dict[str, Examples]) -> None:
    """Put packed files there, as somebody else would, or as an earlier release had left them."""
    if way == "packed":
        return
    home.mkdir()
    for name, one in splits.items():
        tensors = {"images": one.images, "labels": one.labels}
        save_file(tensors, home / f"{name}.safetensors")
    if way == "vouched":
        from sanity.data.packed_files import describe, write_manifest

        write_manifest(home, describe(home, splits, None, 0, []))
        facts: dict[str, Any] = json.loads((home / "manifest.json").read_text())
        del facts["remarks"], facts["digest"]
        (home / "manifest.json").write_text(json.dumps(facts | {"digest": digest(facts)}))


WAYS = ["packed", "adopted", "vouched"]
FULL = [0, 1, 2] * 4


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (FULL, [1, 1, 1], r"all test images are of one class \(dog\)"),
        ([0, 2, 0], FULL, "only 2 of 3 classes occur among the training images; .* of dog"),
        ([0, 0], [0, 0], "only 1 of 3 classes occur among the training images; .* of dog, emu"),
    ],
)
def test_labels_that_nothing_can_be_learned_of(
    way: str,
    train: list[int],
    test: list[int],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place(way, tmp_path / "toy", with_labels(monkeypatch, train, test))
    for _ in range(2):
        with pytest.raises(DataError, match=message) as caught:
            open_packed(Pets(), tmp_path)
        assert_is_a_line(caught.value)


def test_one_class_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train", "test"):
        write_tree(tmp_path / "pets" / name / "cat", {f"{name}.png": png(flat(len(name), 6))})
    with pytest.raises(DataError, match=r"has one class alone \(cat\), so that every answer"):
        open_packed(Folder(path=str(tmp_path / "pets")), tmp_path / "data")
    splits = with_labels(monkeypatch, [0, 0], [0])
    lonely = {name: dataclasses.replace(one, num_classes=1) for name, one in splits.items()}
    monkeypatch.setattr(Pets, "read", lambda self, data_dir: lonely)
    with pytest.raises(DataError, match="has one class alone"):
        open_packed(Pets(num_classes=None), tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_classes_without_test_images_are_named_once(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place(way, tmp_path / "toy", with_labels(monkeypatch, FULL, [0, 2]))
    expected = "1 of 3 classes have no test image: dog"
    assert open_packed(Pets(), tmp_path).remarks == (expected,)
    assert [text for text in caplog.messages if text.endswith(expected)]
    caplog.clear()
    assert open_packed(Pets(), tmp_path).remarks == (expected,)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def remarks(train: Examples, test: Examples) -> list[str]:
    splits = {"train": train, "test": test}
    return look_into(Pets(), splits, hash_images(splits), "toy")


@pytest.mark.parametrize(("cats", "told"), [(6, False), (7, True)])
def test_a_class_that_is_most_of_the_test_set_is_told(cats: int, told: bool) -> None:
    test = examples([0] * cats + [1, 2] * ((12 - cats) // 2) + [1] * (cats % 2), 1)
    found = [
        text for text in remarks(examples(FULL, 0), test) if "test images are of class" in text
    ]
    assert found == (
        [
            "58% of the test images are of class 0: a network that answers nothing else is right "
            "as often"
        ]
        if told
        else []
    )


def test_images_of_one_colour_are_counted() -> None:
    train = examples(FULL, 0)
    train.images[2:4] = 7
    train.images[3] = 9
    train.images[4, 1:] = 7
    assert remarks(train, examples(FULL, 1)) == ["2 of the 12 training images are of one colour"]


def test_images_under_several_classes_and_copies_are_counted() -> None:
    train, test = examples(FULL, 0), examples(FULL, 1)
    train.images[4] = train.images[0]  # 1 and 0
    train.images[3] = train.images[0]
    test.images[2] = train.images[1]  # 2 and 1
    assert remarks(train, test) == [
        "images that occur under more than one class: 2, such as one of 0 and 1",
        "2 of the 12 training images are copies of others",
    ]


def test_a_folder_names_files_under_several_classes(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write_folder(root)
    write_tree(root / "train" / "dog", {"copy.png": png(flat(30, 6))})
    found = open_packed(Folder(path=str(root)), tmp_path / "data").remarks
    told = next(text for text in found if text.startswith("images that occur under"))
    assert f"cat ({root}/train/cat/3.png)" in told
    assert f"dog ({root}/train/dog/copy.png)" in told


def test_images_that_are_all_the_same_are_no_data_set() -> None:
    train = examples(FULL, 0)
    train.images[:] = 7
    with pytest.raises(DataError, match="toy: all 12 training images are the same"):
        remarks(train, examples(FULL, 1))


def test_what_sizes_leave_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_labels(monkeypatch, [0, 1, 0, 1, 2, 2, 0, 1], [0, 1, 2])
    packed = open_packed(Pets(), tmp_path)

    def told(**sizes: int) -> list[str]:
        dataset = dataclasses.replace(Pets(), **sizes)  # type: ignore[arg-type]
        return lost_classes(packed, dataset, split(packed, dataset, seed=0))

    assert told() == told(limit=5) == []
    assert told(limit=4) == [
        "dataset.limit=4 leaves no training image of 1 of 3 classes: emu",
    ]
    assert told(limit=2) == [
        "dataset.limit=2 leaves no training image of 1 of 3 classes: emu",
        "dataset.limit=2 leaves no test image of 1 of 3 classes: emu",
    ]
    assert told(validation_size=1)[0].startswith(
        "dataset.validation_size=1 leaves no validation image of 2 of 3 classes: "
    )


@pytest.mark.parametrize("name", ["train", "test"])
def test_sizes_that_leave_one_class_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"train": [0, 1, 2], "test": [0, 1, 2]} | {name: [1, 1, 0, 2]}
    with_labels(monkeypatch, **labels)
    packed, dataset = open_packed(Pets(), tmp_path), Pets(limit=2)
    what = {"train": "training", "test": "test"}[name]
    with pytest.raises(ConfigError, match=rf"dataset.limit=2: the {what} images .* class dog; "):
        lost_classes(packed, dataset, split(packed, dataset, seed=0))


def test_a_record_says_what_is_known_of_its_data(tmp_path: Path, run: Run) -> None:
    root = tmp_path / "pets"
    write_folder(root)
    command = ["dataset=folder", f"dataset.path={root}", "dataset.crop_padding=1", "pruner=random"]
    record = run(*command)
    left_out = "files left out of the training images: .txt (2)"
    assert left_out in record["data"]["remarks"]
    again = run(*command)
    assert again["stages"]["train_ticket"]["reused"]
    assert again["data"] == record["data"]
    limited = run(*command, "dataset.limit=3", "dataset.validation_size=1")
    told = "dataset.validation_size=1 leaves no validation image of 1 of 2 classes"
    assert [text for text in limited["data"]["remarks"] if text.startswith(told)]


def test_a_tree_is_decoded_once_a_run(
    tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    write_folder(tmp_path / "pets")
    caplog.set_level(logging.INFO)
    run("dataset=folder", f"dataset.path={tmp_path / 'pets'}", "dataset.crop_padding=1")
    assert len([text for text in caplog.messages if text.startswith("packing folder")]) == 1


def test_a_tree_that_changes_under_a_run_is_refused(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sanity import pipeline

    root = tmp_path / "pets"
    write_folder(root)
    validate = pipeline.validate

    def change(parts: Any) -> None:
        validate(parts)
        write_tree(root / "train" / "cat", {"9.png": png(flat(99, 6))})

    monkeypatch.setattr(pipeline, "validate", change)
    with pytest.raises(DataError, match="folder: its files have changed since this run began"):
        run("dataset=folder", f"dataset.path={root}", "dataset.crop_padding=1", "pruner=random")


MINE = """
from dataclasses import dataclass
import torch
from sanity.datasets.base import Dataset, Examples

@dataclass
class Mine(Dataset):
    name: str = "mine"
    num_classes: int | None = 2
    channels: int = 1
    image_size: int | None = 8
    mean: tuple[float, ...] | None = (0.5,)
    std: tuple[float, ...] | None = (0.5,)

    def read(self, data_dir):
        def make(start):
            images = torch.arange(start, start + 20 * 64).view(20, 8, 8, 1) % SIZE
            return Examples(images.to(torch.uint8), torch.arange(20) % 2, 2)
        return {"train": make(0), "test": make(7)}
"""


def test_what_edited_code_of_ones_own_has_read_is_read_again(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib
    import sys

    monkeypatch.setenv("SANITY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    packed: list[Tensor] = []
    for size in (251, 241):
        (tmp_path / "my_data_set.py").write_text(MINE.replace("SIZE", str(size)))
        importlib.invalidate_caches()
        sys.modules.pop("my_data_set", None)
        record = run("dataset._target_=my_data_set.Mine", "dataset.name=mine", *OWN)
        assert not record["stages"]["train_ticket"]["reused"]
        module = importlib.import_module("my_data_set")
        packed.append(open_packed(module.Mine(), tmp_path / "data").train.images.max())
    assert [int(most) for most in packed] == [250, 240]


OWN = (
    *("dataset.num_classes=2", "dataset.mean=[0.5]", "dataset.std=[0.5]", "dataset.pixel_max=255"),
    "pruner=random",
)


def test_packed_files_that_somebody_put_there_stay_whatever_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("adopted", tmp_path / "toy", {"train": toy_examples(20), "test": toy_examples(10)})
    first = open_packed(Toy(), tmp_path)
    manifest = json.loads((tmp_path / "toy" / "manifest.json").read_text())
    assert manifest["source"] == packing.ADOPTED
    monkeypatch.setattr(packing, "_source", lambda dataset: "of edited code")
    monkeypatch.setattr(Toy, "read", None)
    assert open_packed(Toy(), tmp_path).fingerprint == first.fingerprint
