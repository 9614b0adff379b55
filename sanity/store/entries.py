"""One entry of the store: its files, and the manifest that vouches for them."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from sanity.core import sharing
from sanity.core.files import digest, read_json, sha256, write_json
from sanity.core.tensors import apart
from sanity.store.keys import FORMAT

MANIFEST = "manifest.json"


class FormatError(ValueError):
    """An entry of another version of this package: nothing is wrong with it."""


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
    save_file(apart(tensors), directory / f"{name}.safetensors")


def seal(
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
        sharing.publish(path)  # safetensors makes private files
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


def read_manifest(path: Path) -> dict[str, Any]:
    """What the manifest of the entry ``path`` says, as it was written.

    Raises ValueError where it is not what was written (FormatError: by another version), OSError
    where it cannot be read.
    """
    manifest = read_json(path / MANIFEST)
    if not isinstance(manifest, dict) or manifest.pop("digest", None) != digest(manifest):
        raise ValueError(f"{MANIFEST} does not match its digest")
    if manifest["format"] != FORMAT:
        raise FormatError(
            f"{MANIFEST} is of format {manifest['format']}; this version reads {FORMAT}"
        )
    return manifest


def verified(stage: str, key: str, path: Path) -> Entry:
    """Read an entry and compare every file with its digest.

    Raises ValueError, KeyError or TypeError for one that is not what was written, OSError for
    one that cannot be read.
    """
    manifest = read_manifest(path)
    if (manifest["stage"], manifest["key"]) != (stage, key):
        raise ValueError(f"{MANIFEST} belongs to another entry")
    for name, file in manifest["files"].items():
        if (path / name).stat().st_size != file["bytes"]:  # also of devices, which never end
            raise ValueError(f"{name} has not the size it was written with")
        if sha256(path / name) != file["sha256"]:
            raise ValueError(f"{name} does not match its digest")
    return Entry(stage, key, path, manifest["facts"], manifest["seconds"], reused=True)
