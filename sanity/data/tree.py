"""A tree of image files: its classes, their images, and what of it is left out."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sanity.core.errors import ConfigError, DataError, as_line, listed
from sanity.data.class_folder import (
    ClassFolder,
    all_left_out,
    count_kinds,
    is_hidden,
    leads_nowhere,
    look_through,
)
from sanity.data.decoding import FORMATS
from sanity.datasets.base import SPLIT_NAMES


@dataclass(frozen=True)
class Tree:
    """The classes of a tree by number, and for both splits its sorted (file, class) pairs.

    ``remarks`` tell what was left out of each, and of classes that are easily confused.
    """

    classes: list[str]
    files: dict[str, list[tuple[str, int]]]
    remarks: dict[str, list[str]]


def list_tree(root: Path) -> Tree:
    """Look through ``root``; classes are the folders of ``root/train``, numbered by name.

    Folders are entered at any depth, linked ones too, hidden ones not. Raises ConfigError where
    there is no such tree, DataError where classes are empty, unknown or of one name, and for links
    that lead nowhere.
    """
    train, test = root / "train", _find_test(root)
    classes = list_classes(root)
    numbers = {_composed(name): number for number, name in enumerate(classes)}
    tree = Tree(classes, {}, {})
    for split, place in (("train", train), ("test", test)):
        labels = _labels(place, numbers, train)
        folders = [look_through(place / name, label) for name, label in labels.items()]
        _refuse_dangling(folders)
        _refuse_empty(place, folders, every=split == "train")
        tree.files[split] = [(image, folder.label) for folder in folders for image in folder.images]
        tree.remarks[split] = _left_out(place, SPLIT_NAMES[split], folders)
    tree.remarks["train"] += _alike(classes)
    tree.remarks["test"] += _unused(root, test)
    return tree


def list_classes(root: Path) -> list[str]:
    """The classes of a tree that ``list_tree`` has accepted."""
    return _directories(root / "train")


def _find_test(root: Path) -> Path:
    """``root/test``, or ``root/val`` where that alone is sorted into the classes of training."""
    if not root.is_dir():
        raise ConfigError(f"dataset.path={as_line(root)}: no such directory")
    train = root / "train"
    tests = [root / name for name in ("test", "val") if (root / name).is_dir()]
    if not train.is_dir() or not tests:
        missing = "train" if tests else "test (or val)"
        there = sorted(path.name for path in root.iterdir() if path.is_dir())
        raise ConfigError(
            f"dataset.path={as_line(root)}: holds no directory {missing}"
            f"{' (but ' + listed(there, 5) + ')' if there else ''}; a test set has to be "
            "chosen once and for all, so move images into train/<class>/ and test/<class>/"
        )
    known = set(map(_composed, list_classes(root)))
    labelled = [test for test in tests if known.intersection(map(_composed, _directories(test)))]
    return (labelled or tests)[0]


def _directories(parent: Path) -> list[str]:
    """The names of its folders, but for hidden ones, in order."""
    names = sorted(child.name for child in parent.iterdir() if not is_hidden(child.name))
    dangling = [parent / name for name in names if leads_nowhere(parent / name)]
    if dangling:
        raise DataError(f"{listed(dangling)}: a link that leads nowhere; mend it or remove it")
    return [name for name in names if (parent / name).is_dir()]


def _labels(place: Path, numbers: Mapping[str, int], train: Path) -> dict[str, int]:
    """The class of each folder of a split, by number; the form of a name's Unicode is no matter."""
    names = _directories(place)
    forms = Counter(map(_composed, names))
    twice = [place / name for name in names if forms[_composed(name)] > 1]
    if twice:
        raise DataError(
            f"{listed(twice)}: names that differ in nothing but their Unicode form; make one "
            "folder of them"
        )
    unknown = [name for name in names if _composed(name) not in numbers]
    if unknown:
        alike = {_folded(name): name for name in numbers}
        near = [alike[_folded(name)] for name in unknown if _folded(name) in alike]
        raise DataError(
            f"{as_line(place)}: {as_line(train)} has no such class: {listed(unknown, 5)}"
            f"{' (but ' + listed(near, 5) + ')' if near else ''}"
        )
    return dict(sorted(((name, numbers[_composed(name)]) for name in names), key=lambda x: x[1]))


def _refuse_dangling(folders: Sequence[ClassFolder]) -> None:
    dangling = sorted(path for folder in folders for path in folder.dangling)
    if dangling:
        count = f"{len(dangling):,} links lead nowhere: " if len(dangling) > 1 else ""
        rest = "" if len(dangling) > 1 else ": a link that leads nowhere"
        raise DataError(f"{count}{listed(dangling)}{rest}; fetch what is missing, or remove it")


def _refuse_empty(place: Path, folders: Sequence[ClassFolder], *, every: bool) -> None:
    """A split has images, in ``every`` class or at least in one."""
    empty = [folder for folder in folders if not folder.images]
    if folders and (not empty if every else len(empty) < len(folders)):
        return
    where = listed([folder.path for folder in empty] or [place])
    loose = _loose_images(place)
    instead = count_kinds(all_left_out(empty))
    if not folders and loose:
        instead = f"{loose:,} images in no folder that is a class"
    raise DataError(
        f"{where} hold{'' if len(empty) > 1 else 's'} no images ({', '.join(sorted(FORMATS))})"
        f"{', but ' + instead if instead else ''}"
    )


def _left_out(place: Path, split: str, folders: Sequence[ClassFolder]) -> list[str]:
    kinds = all_left_out(folders)
    kinds["in no class folder"] = _loose_images(place)
    counted = count_kinds(kinds)
    return [f"files left out of the {split} images: {counted}"] if counted else []


def _loose_images(place: Path) -> int:
    return sum(
        path.suffix.lower() in FORMATS and not is_hidden(path.name) and path.is_file()
        for path in place.iterdir()
    )


def _unused(root: Path, test: Path) -> list[str]:
    """The other one of ``test`` and ``val``, where both are there."""
    other = root / ("val" if test.name == "test" else "test")
    if not other.is_dir():
        return []
    why = "" if test.name == "test" else ", not sorted into the classes of train,"
    return [f"{test.name} is the test set; {other.name}{why} is not used"]


def _alike(classes: Sequence[str]) -> list[str]:
    """Classes that a reader might take for one."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(_folded(name), []).append(name)
    alike = [" and ".join(group) for group in groups.values() if len(group) > 1]
    return [f"classes whose names are nearly the same: {listed(alike)}"] if alike else []


def _composed(name: str) -> str:
    """A name in the one form of its Unicode that composes letters and accents."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """A name as a reader sees it: without case, blanks at its ends, and invisible characters."""
    visible = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return "".join(visible).strip().casefold()
