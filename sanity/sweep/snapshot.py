"""The code and configuration of a sweep as they are when it is given, kept beside it.

Jobs start hours or days later, in other processes or in this one: whatever the launcher, they run
the copy. What is no code (data, weights) is linked; what of it is read is told in keys.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_loader import ConfigLoader

from sanity.core import sharing
from sanity.core.config import HOME, PROJECT
from sanity.identity import sources
from sanity.identity.folders import CODE, FOREIGN
from sanity.identity.sources import Located

PARTS = ("run.py", "conf", "sanity", "sweeps")
FOR_READERS = ("README.md", "*.png")  # what no code reads
OWN, LIB = "own", "lib"


@dataclass(frozen=True)
class Snapshot:
    """A copy: of this package's ``code``, of the user's configuration directory and modules.

    ``config_dir`` is the copy of the directory that was given, if any; ``first`` are the paths that
    Python is to look at before all others.
    """

    code: Path
    config_dir: Path | None
    first: tuple[Path, ...]

    def enter(self, given: Path | None, loader: ConfigLoader | None) -> None:
        """Let this process, and those that it starts, take modules and YAML files from here.

        ``given`` is the configuration directory of which ``config_dir`` is a copy. What has been
        imported stays; it was copied as it was loaded. Without a ``loader`` nothing is composed.
        """
        first = [str(path) for path in self.first]
        live = None if given is None else os.path.realpath(given)
        rest = [path for path in sys.path if os.path.realpath(path) != live]
        own = [] if self.config_dir is None else [str(self.config_dir)]
        sys.path[:] = [*first, *rest, *own]
        paths = [*first, os.environ.get("PYTHONPATH")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        os.environ.setdefault(HOME, str(PROJECT))
        if loader is not None:
            _read_from(loader, {"main": self.code / "conf", "command-line": self.config_dir})


def take(directory: Path, config_dir: Path | None, modules: Iterable[Located]) -> Snapshot:
    """Copy the code below ``directory``; the same code is copied once.

    ``modules`` are those of the user's that the sweep's components reach, wherever they lie.
    Whoever takes one holds the sweep's lock.
    """
    copies = dict(_project())
    links: dict[str, Path] = {}
    for name, path in _own(config_dir, modules):
        (copies if path.suffix in CODE and path.is_file() else links)[name] = path
    contents = {  # of modules, as this process has loaded them or will
        name: sources.source(path) if path.suffix == ".py" else path.read_bytes()
        for name, path in copies.items()
    }
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0".encode() + content + b"\0")
    for name, path in sorted(links.items()):
        digest.update(f"{name}\0{path}\0".encode())
    target = directory.absolute() / digest.hexdigest()[:12]
    if not target.exists():
        _write(target, contents, links)
    first = [target, target / "sweeps", target / LIB]
    if config_dir is None:
        return Snapshot(target, None, tuple(first))
    on_pythonpath = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # by the user's own wish
    if config_dir.resolve() in (Path(path).resolve() for path in on_pythonpath):
        first.append(target / OWN)
    sharing.make_directory(target / OWN)
    return Snapshot(target, target / OWN, tuple(first))


def _write(target: Path, contents: dict[str, bytes], links: dict[str, Path]) -> None:
    sharing.make_directory(target.parent)
    for left in target.parent.glob(".partial-*"):  # by a parent that was killed
        shutil.rmtree(left, ignore_errors=True)
    partial = sharing.temporary_directory(target.parent, ".partial-")
    for name, content in contents.items():
        sharing.make_directory((partial / name).parent)
        (partial / name).write_bytes(content)
    for name, path in links.items():
        sharing.make_directory((partial / name).parent)
        (partial / name).symlink_to(path.absolute())
    partial.rename(target)


def _project() -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        root = PROJECT / part
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            is_read = not any(map(path.match, FOR_READERS)) and "__pycache__" not in path.parts
            if path.is_file() and is_read:
                yield str(path.relative_to(PROJECT)), path


def _own(config_dir: Path | None, modules: Iterable[Located]) -> Iterator[tuple[str, Path]]:
    """What is the user's, by its name in the copy: code, and entries to be linked."""
    modules = list(modules)
    reached = {module.path.absolute() for module in modules}
    if config_dir is not None:
        config_dir = config_dir.absolute()
        yield from _below(config_dir, Path(OWN), reached)
    tops = {}
    for module in modules:
        if config_dir is not None and module.path.is_relative_to(config_dir):
            continue
        depth = module.name.count(".") + module.is_package
        tops[module.name.split(".")[0]] = module.path.absolute().parents[depth]
    for top, root in sorted(tops.items()):
        if (root / top).is_dir():
            yield from _below(root / top, Path(LIB, top), reached)
            continue
        for path in sorted(root.iterdir()):
            if path.stem == top and path.suffix in CODE:
                yield str(Path(LIB, path.name)), path
            elif path.is_file() and path.suffix not in CODE and not path.name.startswith("."):
                yield str(Path(LIB, path.name)), path  # what it may read by its own place


def _below(
    directory: Path, name: Path, reached: Collection[Path], links: frozenset[Path] = frozenset()
) -> Iterator[tuple[str, Path]]:
    """Code below ``directory``, file by file, and whatever else lies there.

    The directory may be where one works, with sweeps and environments in it: those are left out.
    Linked directories, and those below them, are gone through where they have code: a large data
    set is linked. ``links`` are those that have led here.
    """
    for path in sorted(directory.iterdir()):
        if path.name.startswith((".", "__pycache__")):
            continue
        is_linked = path.is_symlink() or bool(links)
        through = links | {path.resolve()} if is_linked and path.is_dir() else links
        leads_back = path.is_symlink() and through == links
        if not path.is_dir() or leads_back or (is_linked and not _has_code(path, reached)):
            yield str(name / path.name), path
        elif FOREIGN.isdisjoint(entry.name for entry in path.iterdir()):
            inside = list(_below(path, name / path.name, reached, through))
            if any(one.suffix in CODE for _, one in inside):
                yield from inside
            elif inside:
                yield str(name / path.name), path


def _has_code(directory: Path, reached: Collection[Path]) -> bool:
    """Whether a linked directory has a module that is reached, or any or a YAML file at its top."""
    real = directory.resolve()
    if directory.is_symlink() and directory.parent.resolve().is_relative_to(real):  # it leads up
        return False
    try:
        entries = list(directory.iterdir())
    except OSError:  # it may not be read
        return False
    return any(path.is_relative_to(directory) for path in reached) or any(
        path.suffix in CODE for path in entries
    )


def _read_from(loader: ConfigLoader, places: dict[str, Path | None]) -> None:
    """Let Hydra find YAML files in other directories, by who has named the present ones.

    It has no public way for that; loaders of others are left as they are.
    """
    search, repository = loader.get_search_path(), getattr(loader, "repository", None)
    if repository is None:
        return
    conf = os.path.realpath(PROJECT / "conf")
    for element in search.get_path():
        place = places.get(str(element.provider))
        path = os.path.realpath(str(element.path).removeprefix("file://"))
        if place is not None and (element.provider != "main" or path == conf):  # no --config-path
            element.path = f"file://{place.absolute()}"  # as Hydra reads it: nothing is decoded
    repository.initialize_sources(search)
