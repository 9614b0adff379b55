"""Settings are checked before any work, completed from the contents, and named for keys."""

import json
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from dataset_originals import Toy, flat, png, times_read, write_folder, write_tree
from hydra.utils import get_class
from omegaconf import OmegaConf

from sanity.core.errors import ConfigError
from sanity.data import identity, open_packed, resolve
from sanity.data.settings import moments
from sanity.datasets.base import Dataset
from sanity.datasets.cifar10 import Cifar10
from sanity.datasets.digits import Digits
from sanity.datasets.folder import Folder

CONF = Path(__file__).parents[2] / "conf" / "dataset"
OPTIONS = sorted(CONF.glob("*.yaml"))
NOT_SETTINGS = {"fingerprint", "directory", "code"}


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path.stem)
def test_the_yaml_files_say_what_the_classes_say(path: Path) -> None:
    values: Any = OmegaConf.to_container(OmegaConf.load(path).dataset)
    target = values.pop("_target_")
    kind = get_class(target)
    assert issubclass(kind, Dataset)
    assert target.rpartition(".")[0] == f"sanity.datasets.{path.stem}"
    defaults = {field.name: field.default for field in fields(kind)}
    assert set(values) == set(defaults) - NOT_SETTINGS
    for name, value in values.items():
        if value == "???":
            assert defaults[name] is MISSING
        else:
            assert (tuple(value) if isinstance(value, list) else value) == defaults[name], name


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path.stem)
def test_every_key_of_the_yaml_files_is_explained(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# @package _global_\n")
    for line in text.partition("dataset:\n")[2].splitlines():
        assert " # " in line, line


def test_all_options_are_there() -> None:
    expected = {"digits", "fashion_mnist", "cifar10", "cifar100", "tiny_imagenet", "folder"}
    assert {path.stem for path in OPTIONS} == expected


def test_a_named_data_set_is_resolved_without_the_disk(tmp_path: Path) -> None:
    resolved = resolve(Cifar10(), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert list(resolved.mean or []) == [0.4914, 0.4822, 0.4465]
    assert "fingerprint" not in identity(resolved)["settings"]


def test_a_folder_is_completed_from_its_contents(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets")
    folder = Folder(path=str(tmp_path / "pets"))
    resolved = resolve(folder, tmp_path)
    packed = open_packed(folder, tmp_path)
    shares = packed.train.images.double() / 255
    assert (resolved.num_classes, resolved.image_size) == (2, 6)
    assert resolved.mean == pytest.approx(shares.mean(dim=(0, 1, 2)).tolist(), abs=1e-6)
    std = shares.std(dim=(0, 1, 2), correction=0)
    assert resolved.std == pytest.approx(std.tolist(), abs=1e-6)
    assert resolved.fingerprint == packed.fingerprint
    assert folder.mean is None
    kept = resolve(replace(folder, mean=[0.1, 0.2, 0.3]), tmp_path)
    assert kept.mean == [0.1, 0.2, 0.3]
    assert kept.std == resolved.std


def test_the_identity_of_a_folder_is_its_contents_not_its_place(tmp_path: Path) -> None:
    keys = []
    for place in ("here", "there"):
        write_folder(tmp_path / place)
        keys.append(identity(resolve(Folder(path=str(tmp_path / place)), tmp_path)))
    write_tree(tmp_path / "here" / "test" / "cat", {"0.png": png(flat(77, 6))})
    changed = identity(resolve(Folder(path=str(tmp_path / "here")), tmp_path))
    assert keys[0] == keys[1]
    assert changed["settings"]["fingerprint"] != keys[0]["settings"]["fingerprint"]


def test_the_identity_is_frozen() -> None:
    """Stored results are found by it: a new setting must leave it as it is (or be neutral)."""
    assert json.loads(json.dumps(identity(resolve(Digits(), Path("unused"))))) == {
        "option": "digits",
        "version": 1,
        "settings": {
            "name": "digits",
            "num_classes": 10,
            "channels": 1,
            "image_size": 8,
            "mean": [0.305],
            "std": [0.376],
            "pixel_max": 16,
            "crop_padding": 0,
            "flip": False,
            "validation_size": 0,
            "limit": None,
        },
    }


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Cifar10(image_size=64), r"dataset.image_size=64: a fact of Cifar10 \(32\)"),
        (Cifar10(num_classes=None), r"dataset.num_classes=None: a fact of Cifar10 \(10\)"),
        (Cifar10(name="mine"), r"dataset.name=mine: a fact"),
        (Cifar10(mean=[0.5]), r"dataset.mean=\[0.5\]: .* one a channel \(3\)"),
        (Cifar10(std=[1, 1, 0]), r"dataset.std=.*: must be above 0"),
        (Cifar10(std=[1, 1, float("nan")]), r"dataset.std=.*: must be a list of numbers"),
        (Cifar10(mean=0.5), r"dataset.mean=0.5: must be a list"),  # type: ignore[arg-type]
        (Cifar10(mean=["a", "b", "c"]), r"dataset.mean=.*: must be a list"),  # type: ignore[list-item]
        (Cifar10(mean=[125.3, 123, 113.9]), r"dataset.mean=.*: must be shares of pixel_max"),
        (Cifar10(std=[63, 62.1, 66.7]), r"dataset.std=.*: must be shares of pixel_max"),
        (Cifar10(crop_padding=32), r"dataset.crop_padding=32: must be less than the 32 pixels"),
        (Cifar10(crop_padding=-1), r"dataset.crop_padding=-1: must be 0 or more"),
        (Cifar10(validation_size=50_000), r"dataset.validation_size=50000: .* the 50000 training"),
        (Cifar10(limit=0), r"dataset.limit=0: must be 2 or more"),
        (Folder(path="/none", pixel_max=256), r"dataset.pixel_max=256: must be 255 or less"),
        (Folder(path="/none", image_size=0), r"dataset.image_size=0: must be 1 or more"),
        (Folder(path="/none", channels=0), r"dataset.channels=0: must be 1 or more"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(
    dataset: Dataset, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_only_the_contents_refuse(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets")
    folder = Folder(path=str(tmp_path / "pets"))
    with pytest.raises(ConfigError, match="leaving 2 of the 10 training images"):
        resolve(replace(folder, validation_size=10), tmp_path)
    with pytest.raises(ConfigError, match=r"dataset.channels=4: must be 1 \(grey\) or 3"):
        resolve(replace(folder, channels=4), tmp_path)
    with pytest.raises(ConfigError, match=r"dataset.crop_padding=6: .* less than the 6 pixels"):
        resolve(replace(folder, crop_padding=6), tmp_path)
    for shade, image in enumerate((tmp_path / "pets" / "train").rglob("*.png")):
        red = flat(shade, 6)
        red[..., 0] = 7
        image.write_bytes(png(red))
    with pytest.raises(ConfigError, match=r"one colour: set dataset.std"):
        resolve(folder, tmp_path)


def test_a_users_own_class_may_leave_mean_and_std_to_be_measured(tmp_path: Path) -> None:
    resolved = resolve(Toy(mean=None, std=None), tmp_path)
    assert times_read(tmp_path) == 1
    assert resolved.mean is not None
    assert resolved.fingerprint is None
    assert identity(resolved)["settings"]["mean"] == list(resolved.mean)


@pytest.mark.parametrize("pixel_max", [16, 255])
def test_moments_are_those_of_all_pixels(pixel_max: int) -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, pixel_max + 1, (1500, 3, 3, 2), generator=random).to(torch.uint8)
    mean, std = moments(images, pixel_max)
    shares = images.double() / pixel_max
    assert mean == pytest.approx(shares.mean(dim=(0, 1, 2)).tolist(), abs=1e-6)
    assert std == pytest.approx(shares.std(dim=(0, 1, 2), correction=0).tolist(), abs=1e-6)


@dataclass
class Shifted(Toy):
    """A data set of somebody's own, with an option that changes what is read."""

    offset: int = 0
    own_settings = Dataset.own_settings  # the rule, which the toy itself does without


def test_options_of_ones_own_are_part_of_key_and_directory(tmp_path: Path) -> None:
    none, some = Shifted(offset=0), Shifted(offset=9)
    assert identity(none) != identity(some)
    assert none.packed_as != some.packed_as
    assert open_packed(none, tmp_path).fingerprint == open_packed(some, tmp_path).fingerprint
    assert len(list(tmp_path.glob("toy-*"))) == 2
