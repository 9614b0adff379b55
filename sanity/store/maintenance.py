"""Looking after a store: what is in it, whether it is sound, and what nobody uses any more."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from filelock import Timeout

from sanity.core import locks, sharing
from sanity.store.entries import MANIFEST, FormatError, read_manifest, verified
from sanity.store.keys import is_key
from sanity.store.notes import Name, changing
from sanity.store.store import Store
from sanity.store.users import Users

Kind = Literal["result", "damaged", "unfinished", "foreign"]
"""``unfinished``: what a training that was broken off goes on from; ``foreign``: another version's
results, and what is no result."""

TRASH = ".trash"
BATCH = 1000  # results that are set aside while every run has to wait
ASIDE = re.compile(r"[0-9a-f]{20}\.damaged-\d+")


@dataclass(frozen=True)
class Item:
    """Something in the store: ``size`` in bytes, ``made`` in seconds since the epoch.

    ``problem`` says why a manifest cannot be read.
    """

    kind: Kind
    stage: str
    key: str
    path: Path
    size: int
    made: float
    problem: str = ""

    @property
    def name(self) -> Name:
        return self.stage, self.key

    def age(self) -> float:
        """Seconds since it was made; 0 where a clock was set back."""
        return max(0.0, time.time() - self.made)


def inventory(store: Store) -> list[Item]:
    """Everything in the store, by stage and key."""
    found: list[Item] = []
    for stage in sorted(_children(store.root)):
        if stage.name[0] != "." and stage.is_dir():
            found += [_item(stage.name, path) for path in sorted(_children(stage))]
    for home in sorted(_children(store.root / ".work")):
        stage_name, _, key = home.name.rpartition("-")
        kind: Kind = "unfinished" if is_key(key) else "foreign"
        found.append(Item(kind, stage_name, key, home, *_measure(home)))
    return found


def verify(
    store: Store, items: Sequence[Item], done: Callable[[], None] = lambda: None
) -> Iterator[tuple[Item, str]]:
    """The results whose files are not what was written, with the reason; changes nothing."""

    def problem(item: Item) -> str:
        try:
            verified(item.stage, item.key, item.path)
        except FileNotFoundError as error:
            # Removed meanwhile, or moved aside by a run that saw the same.
            return f"{Path(error.filename).name} is missing" if item.path.exists() else ""
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return str(error) or type(error).__name__
        return ""

    results = [item for item in items if item.kind == "result"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # digests are computed outside of the GIL
        for item, found in zip(results, pool.map(problem, results), strict=True):
            done()
            if found:
                yield item, found


def unused(items: Iterable[Item], users: Users) -> list[Item]:
    """What may go: results and unfinished work that nobody asks for, and what is damaged."""
    return [
        item
        for item in items
        if item.kind == "damaged"
        or (item.kind in ("result", "unfinished") and not users.of(*item.name))
    ]


def remove(
    store: Store,
    items: Sequence[Item],
    users: Callable[[], Users],
    done: Callable[[], None] = lambda: None,
) -> tuple[list[Item], list[tuple[Item, str]]]:
    """Remove those of ``items`` that are still :func:`unused`.

    Returns these, and those that could not be removed, with the reason. ``users`` is asked again
    and again, while nobody can begin to use anything; what somebody computes at this moment stays.
    """
    removed: list[Item] = []
    failed: list[tuple[Item, str]] = []
    trash = store.root / TRASH
    with locks.held(store.root / ".locks" / "clean.lock", "the store is being cleaned"):
        sharing.make_directory(trash)
        for start in range(0, len(items), BATCH):
            place = sharing.temporary_directory(trash)
            with changing(store.root):
                now = users()
                taken: dict[int, Item] = {}
                for number, item in enumerate(unused(items[start : start + BATCH], now)):
                    try:
                        _set_aside(store, item, place / str(number))
                        taken[number] = item
                        removed.append(item)
                    except (FileNotFoundError, Timeout):  # it is gone, or being computed
                        pass
                    except OSError as error:
                        failed.append((item, locks.why_not(error)))
                for note in now.stale:
                    note.unlink(missing_ok=True)
            for number, item in taken.items():
                if why := sharing.remove(place / str(number)):
                    removed.remove(item)
                    failed.append((item, why))
                done()
        sharing.remove(trash)  # with what a clean has left that was killed
    return removed, failed


def _set_aside(store: Store, item: Item, place: Path) -> None:
    """Move an item out of the way, unless it is being computed; raises Timeout where it is."""
    if item.kind == "damaged":
        item.path.rename(place)
        return
    with locks.lock_at(store.lock_of(*item.name)).acquire(timeout=0):
        item.path.rename(place)


def _children(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _item(stage: str, path: Path) -> Item:
    key = path.name.partition(".")[0]
    if ASIDE.fullmatch(path.name) and path.is_dir():
        return Item("damaged", stage, key, path, *_measure(path))
    if not is_key(path.name) or not path.is_dir():
        return Item("foreign", stage, path.name, path, *_measure(path))
    try:
        manifest = read_manifest(path)
        sizes = sum(int(file["bytes"]) for file in manifest["files"].values())
        size = sizes + (path / MANIFEST).stat().st_size
        made = datetime.fromisoformat(manifest["created"]).timestamp()
        return Item("result", stage, key, path, size, made)
    except FormatError as error:
        return Item("foreign", stage, key, path, *_measure(path), str(error))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        problem = str(error) or type(error).__name__
        return Item("result", stage, key, path, *_measure(path), problem)


def _measure(path: Path) -> tuple[int, float]:
    """Size and time of last change of a file or of all files below a directory."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    states = []
    for file in files:
        with suppress(OSError):  # removed while we look
            states.append(file.lstat())
    size = sum(state.st_size for state in states)
    return size, max((state.st_mtime for state in states), default=0.0)
