"""The content-addressed store: every stage's result, kept under a key of what determines it.

An entry is a directory ``<root>/<stage>/<key>/`` of safetensors and JSON files with a manifest of
their digests. It is computed in ``<root>/.work/<stage>-<key>/``, where checkpoints outlive a run
that is broken off, and renamed into place under a lock: so it is whole or absent, and concurrent
runs compute it once. The locks are ``flock`` locks: on a shared file system (NFSv4, Lustre
mounted with flock) they hold between hosts, and a lock dies with its process.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sanity.errors import StoreError
from sanity.files import DISK_ERRORS, digest, fsync_directory, sha256, write_json

log = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "manifest.json"

# Settings added after results were first stored, with the value that changes nothing. They enter
# a key only where they differ, so that an added option leaves existing results where they are.
NEUTRAL: dict[str, Any] = {}

# Raised for a stage when its code is changed to give other numbers: results of the old code stay
# on disk, but are no longer taken for the new code's.
REVISION: dict[str, int] = {}


@dataclass(frozen=True)
class Work:
    """Where a stage is computed: its files go into ``directory``, which is there and empty.

    ``checkpoints`` is the computation's to make and to use; it stays until the result is stored.
    """

    directory: Path
    checkpoints: Path


Compute = Callable[[Work], dict[str, Any]]
"""Writes a stage's files and returns its (JSON) facts."""


@dataclass(frozen=True)
class Entry:
    """A stored result: its facts, and the directory that holds its tensors."""

    stage: str
    key: str
    path: Path
    facts: dict[str, Any]
    seconds: float
    reused: bool

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of ``<name>.safetensors``, on the CPU."""
        return load_file(self.path / f"{name}.safetensors")

    def has(self, name: str) -> bool:
        """Whether the entry holds ``<name>.safetensors``."""
        return (self.path / f"{name}.safetensors").exists()


def save_tensors(directory: Path, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Write ``<name>.safetensors`` from any device."""
    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    save_file(whole, directory / f"{name}.safetensors")


def key_of(stage: str, settings: Mapping[str, Any]) -> str:
    """The key of a stage's result: a digest of the settings that determine it."""
    relevant = _without_neutral(dict(settings), prefix="")
    named = {"format": FORMAT, "stage": stage, "settings": relevant}
    if stage in REVISION:
        named["revision"] = REVISION[stage]
    text = json.dumps(named, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Store:
    """Results below ``root``; the one method that matters is :meth:`fetch`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> None:
        """Create the store where it is missing; raises StoreError where it cannot be written."""
        try:
            (self.root / ".locks").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise StoreError(
                f"store_dir={self.root}: cannot be written ({error.strerror})"
            ) from None

    def get(self, stage: str, key: str) -> Entry | None:
        """The entry of this key, verified, or None; a damaged one is moved out of the way."""
        path = self.root / stage / key
        if not path.exists():
            return None
        try:
            return _verified(stage, key, path)
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            reason = str(error) or type(error).__name__
        except OSError as error:  # unreadable here, which says nothing about its contents
            raise StoreError(f"store_dir={self.root}: {path}: {error.strerror}") from error
        aside = path.with_name(f"{key}.damaged-{time.time_ns()}")
        try:
            path.rename(aside)
        except FileNotFoundError:  # another run saw it first
            return None
        log.warning("the stored %s %s is damaged (%s): moved to %s", stage, key, reason, aside)
        return None

    def fetch(self, stage: str, settings: Mapping[str, Any], compute: Compute) -> Entry:
        """The entry of these settings: reused where it exists, otherwise computed and stored."""
        key = key_of(stage, settings)
        found = self.get(stage, key)
        if found:
            return found
        with self._locked(stage, key):
            return self.get(stage, key) or self._create(stage, key, settings, compute)

    def _create(self, stage: str, key: str, settings: Mapping[str, Any], compute: Compute) -> Entry:
        # Not among the stage's entries: nobody has to list 100,000 of them for what killed runs
        # left, and there is one place to clean.
        parent, home = self.root / stage, self.root / ".work" / f"{stage}-{key}"
        try:
            parent.mkdir(exist_ok=True)
            home.mkdir(parents=True, exist_ok=True)
            for stale in home.glob("result-*"):  # whoever holds the lock may clear it
                shutil.rmtree(stale, ignore_errors=True)
            partial = Path(tempfile.mkdtemp(dir=home, prefix="result-"))
        except OSError as error:
            raise StoreError(f"store_dir={self.root}: {error.strerror}") from error
        try:
            start = time.perf_counter()
            facts = compute(Work(partial, home / "checkpoints"))
            seconds = time.perf_counter() - start
            _seal(partial, stage, key, settings, facts, seconds)
            partial.chmod(0o755)
            partial.rename(parent / key)
            fsync_directory(parent)
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            _remove_empty(home / "checkpoints", home)
            if _is_disk_error(error):
                raise StoreError(
                    f"store_dir={self.root}: the result of {stage} could not be written ({error})"
                ) from error
            raise
        shutil.rmtree(home, ignore_errors=True)
        return Entry(stage, key, parent / key, facts, seconds, reused=False)

    @contextmanager
    def _locked(self, stage: str, key: str) -> Iterator[None]:
        lock = FileLock(self.root / ".locks" / f"{stage}-{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s %s is being computed by another run: waiting for it", stage, key)
            lock.acquire()
        except OSError as error:
            raise StoreError(f"store_dir={self.root}: cannot lock ({error.strerror})") from None
        try:
            yield
        finally:
            lock.release()


def _seal(
    directory: Path,
    stage: str,
    key: str,
    settings: Mapping[str, Any],
    facts: dict[str, Any],
    seconds: float,
) -> None:
    """Write the manifest that makes an entry of the files in ``directory``."""
    files = {}
    for path in sorted(directory.iterdir()):
        path.chmod(0o644)  # safetensors makes private files; a store may be shared
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[path.name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    manifest = {
        "format": FORMAT,
        "stage": stage,
        "key": key,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": round(seconds, 3),
        "settings": dict(settings),
        "facts": facts,
        "files": files,
    }
    write_json(directory / MANIFEST, manifest | {"digest": digest(manifest)})


def _verified(stage: str, key: str, path: Path) -> Entry:
    """Read an entry and compare every file with its digest; raises ValueError where one differs."""
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if manifest.pop("digest", None) != digest(manifest):
        raise ValueError(f"{MANIFEST} does not match its digest")
    if manifest["format"] != FORMAT or manifest["key"] != key or manifest["stage"] != stage:
        raise ValueError(f"{MANIFEST} belongs to another entry or format")
    for name, file in manifest["files"].items():
        if sha256(path / name) != file["sha256"]:
            raise ValueError(f"{name} does not match its digest")
    return Entry(stage, key, path, manifest["facts"], manifest["seconds"], reused=True)


def _without_neutral(settings: dict[str, Any], prefix: str) -> dict[str, Any]:
    relevant = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        if path in NEUTRAL and value == NEUTRAL[path]:
            continue
        relevant[name] = _without_neutral(value, f"{path}.") if isinstance(value, dict) else value
    return relevant


def _remove_empty(*directories: Path) -> None:
    """Remove those, inner ones first, that hold nothing."""
    for directory in directories:
        with suppress(OSError):  # it holds something, or is not there
            directory.rmdir()


def _is_disk_error(error: BaseException) -> bool:
    """A full, read-only or failing disk, also where safetensors wraps what the system said."""
    if isinstance(error, SafetensorError):
        return True
    return isinstance(error, OSError) and error.errno in DISK_ERRORS
