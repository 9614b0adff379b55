"""The code as it is at submission, kept beside the sweep: jobs may start days later."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sanity.config import PROJECT

PARTS = ("run.py", "conf", "sanity", "sweeps")
OWN = (".py", ".yaml", ".yml")  # what is taken of a user's own --config-dir
FOREIGN = {"sweep.json", "record.json", "pyvenv.cfg"}  # what marks a directory of something else


@dataclass(frozen=True)
class Snapshot:
    """A copy of the code, and of the user's own configuration directory if there is one."""

    code: Path
    config_dir: Path | None


def take(directory: Path, config_dir: Path | None) -> Snapshot:
    """Copy the code below ``directory``; the same code is copied once.

    Whoever takes one holds the sweep's lock.
    """
    sources = dict(_sources(config_dir))
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    target = directory / digest.hexdigest()[:12]
    if not target.exists():
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(".partial-*"):  # by a parent that was killed
            shutil.rmtree(left, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(dir=directory, prefix=".partial-"))
        for name, path in sources.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, partial / name)
        partial.chmod(0o755)
        partial.rename(target)
    return Snapshot(target, None if config_dir is None else target / "own")


def _sources(config_dir: Path | None) -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        root = PROJECT / part
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(PROJECT)), path
    # conf/sweep is a link to sweeps/, which rglob does not follow.
    for path in sorted((PROJECT / "conf" / "sweep").glob("*.yaml")):
        yield str(path.relative_to(PROJECT)), path
    if config_dir is not None:
        for path in _own(config_dir):
            yield str(Path("own") / path.relative_to(config_dir)), path


def _own(directory: Path) -> Iterator[Path]:
    """The code and configuration in ``directory``, which may be where one works (``.``).

    Sweeps lie there too, with copies of their own: those are none of it.
    """
    for place, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        if not FOREIGN.isdisjoint(names):
            folders.clear()
            continue
        yield from (Path(place, name) for name in sorted(names) if Path(name).suffix in OWN)
