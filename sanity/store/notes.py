"""Notes in the store of who uses what: written before a result is used, so that none is lost.

A sweep lists its jobs' stages in ``sweep.json`` before it starts anything, and ``.sweeps/`` holds
that list too. Whatever else asks for a result notes that in ``.runs/`` beforehand: a run that is
interrupted has no record of what it was about to use.
"""

import functools
import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from sanity.core import locks, sharing
from sanity.core.errors import StoreError, reason
from sanity.core.files import digest, read_json, sweep_up, write_atomically, write_json

RUNS, SWEEPS = ".runs", ".sweeps"
EARLIER = "earlier.json"

log = logging.getLogger(__name__)

Name = tuple[str, str]
"""Stage and key of a result."""


@contextmanager
def locked(root: Path, lock: Path, what: str) -> Iterator[None]:
    """Hold a lock of the store ``root``; raises StoreError where that cannot be."""
    with ExitStack() as stack:
        try:
            sharing.make_directory(lock.parent)
            stack.enter_context(locks.held(lock, what))
        except OSError as error:
            raise StoreError(f"store_dir={root}: cannot lock ({locks.why_not(error)})") from None
        yield


def changing(root: Path) -> AbstractContextManager[None]:
    """Be the only one who notes what is used, or removes what is not.

    So that nothing is removed between a run's note and its use of a result.
    """
    return locked(root, root / ".locks" / "users.lock", "the store is changed")


@functools.cache
def hint_at_sharing(root: Path) -> None:
    """Say, once, how a store is shared that seems to be meant for it, and is not."""
    if advice := sharing.hint(root, ".locks", ".work", RUNS, SWEEPS):
        log.info("hint: %s", advice)


def begin(root: Path) -> None:
    """Begin to note what is used; what is there already counts as used by somebody unknown."""
    if (root / RUNS / EARLIER).exists():
        return
    with changing(root):
        sharing.make_directory(root / RUNS)
        sweep_up(root / RUNS / EARLIER)
        if not (root / RUNS / EARLIER).exists():
            write_json(root / RUNS / EARLIER, _present(root))


def earlier(root: Path) -> list[Name]:
    """What was there before anything was noted: everything, where that has not begun."""
    path = root / RUNS / EARLIER
    try:
        return [(stage, key) for stage, key in read_json(path)] if path.exists() else _present(root)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: is damaged; without it all there is counts as used") from error


def sweep_note(root: Path, identity: str, directory: Path) -> Path:
    """The note of a sweep; the same sweep in another directory has another one."""
    return root / SWEEPS / f"{identity}-{digest(str(directory))[:8]}.json"


class Note:
    """The note of what the run in ``directory`` uses of the store ``root``.

    It grows while the run is at work, over all its attempts, and is put in order when it is done.
    """

    def __init__(self, root: Path, directory: Path) -> None:
        self.root, self.directory = root, directory.absolute()
        self.host = socket.gethostname()  # where another run may have a directory of this name
        name = digest([self.host, str(self.directory)])
        self.path = root / RUNS / f"{name[:20]}.jsonl"

    def add(self, stage: str, key: str) -> None:
        """Note a result before it is used; raises StoreError where that cannot be written."""
        with changing(self.root), self._writing():
            sharing.make_directory(self.path.parent)
            with sharing.append(self.path) as file:
                # The first line break ends what a killed run may have left half-written.
                file.write(f"\n{self._line((stage, key))}\n")
                file.flush()
                os.fsync(file.fileno())

    def replace(self, names: Iterable[Name]) -> None:
        """The run is done, and used just these."""
        if self.path.exists():
            with changing(self.root), self._writing():
                sweep_up(self.path)
                write_atomically(self.path, "".join(f"{self._line(name)}\n" for name in names))

    def _line(self, name: Name) -> str:
        facts = {"directory": str(self.directory), "host": self.host}
        return json.dumps(facts | {"stage": name[0], "key": name[1]})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"store_dir={self.root}: cannot note what the run uses ({reason(error)})"
            ) from error


def _present(root: Path) -> list[Name]:
    """Everything that is in a store, finished or not."""
    stages = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    found = [(stage.name, path.name) for stage in stages for path in stage.iterdir()]
    unfinished = (path.name.rpartition("-") for path in (root / ".work").glob("*"))
    return sorted([*found, *((stage, key) for stage, _, key in unfinished)])
