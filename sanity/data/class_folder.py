"""The image files below one class's folder, and what else is there."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sanity.core.errors import listed
from sanity.data.decoding import FORMATS


@dataclass(frozen=True)
class ClassFolder:
    """Sorted images, links of an image's name that lead nowhere, and what is left out, by kind."""

    path: Path
    label: int
    images: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def look_through(path: Path, label: int) -> ClassFolder:
    """What is in a class's folder, at any depth; raises OSError for what cannot be read."""
    found = ClassFolder(path, label)
    for entry in _walk(path):
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - of a million names
        if is_hidden(entry.name):
            found.left_out["hidden"] += suffix in FORMATS or _is_directory(entry)
        elif suffix not in FORMATS:
            found.left_out[suffix or "without a suffix"] += 1
        elif entry.is_symlink() and leads_nowhere(entry.path):
            found.dangling.append(entry.path)
        elif entry.is_file():
            found.images.append(entry.path)
        else:
            found.left_out["no plain file"] += 1
    found.images.sort(key=lambda image: Path(image).parts)  # folder by folder
    return found


def is_hidden(name: str) -> bool:
    """Whether programs keep a file or folder of this name from their users."""
    return name.startswith(".")


def leads_nowhere(path: str | Path) -> bool:
    """Whether a link means nothing that is there."""
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114 - see above


def count_kinds(kinds: Counter[str]) -> str:
    """Such as ".txt (3), hidden (2)", the most first; empty where nothing was left out."""
    return listed([f"{kind[:40]} ({count:,})" for kind, count in kinds.most_common() if count], 5)


def all_left_out(folders: Iterable[ClassFolder]) -> Counter[str]:
    """What several folders leave out, together."""
    return sum((folder.left_out for folder in folders), Counter[str]())


def _walk(top: Path) -> "Iterator[os.DirEntry[str]]":
    """All files of a tree; a hidden folder stands for what it holds.

    Each folder is entered once, however many links lead to it, and real ones come before linked
    ones: a file's path does not depend on the order in which a disk lists them.
    """
    folders, links = [str(top)], list[str]()
    entered: set[tuple[int, int]] = set()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name) or not _is_directory(entry):
                    yield entry
                else:
                    (links if entry.is_symlink() else folders).append(entry.path)
        links.sort(reverse=True)


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
