"""A packed data set on disk: two safetensors files and the manifest that vouches for them."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sanity.core import sharing
from sanity.core.errors import DataError, as_line
from sanity.core.files import digest, sha256, write_json
from sanity.data.foreign import read_file
from sanity.datasets.base import Examples

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 20  # it has less than one thousand
SPLITS = ("train", "test")
TENSORS = {"images": "U8", "labels": "I64"}  # key -> safetensors' name of its element type


@dataclass(frozen=True)
class FileFacts:
    """What the manifest says of one split; ``content`` digests pixels and labels alone."""

    bytes: int
    sha256: str
    shape: list[int]
    content: str


@dataclass(frozen=True)
class Manifest:
    """What the manifest says of a data set; ``source`` is the state of the original files.

    ``overlap`` is the number of test images that occur in training; None in a manifest that was
    written before they were counted, and that has no digest of itself either. ``remarks`` are
    what else is to be known of the data; None in a manifest that was written before any were made.
    """

    num_classes: int
    source: str | None
    files: Mapping[str, FileFacts]
    overlap: int | None
    remarks: list[str] | None

    @property
    def fingerprint(self) -> str:
        """A digest of the contents, however the files around them were written."""
        parts = [(split, self.files[split].shape, self.files[split].content) for split in SPLITS]
        return digest(parts)


def split_path(home: Path, split: str) -> Path:
    """The packed file of a split."""
    return home / f"{split}.safetensors"


def is_complete(home: Path) -> bool:
    """Whether both packed files are there (not whether they are right)."""
    return all(split_path(home, split).is_file() for split in SPLITS)


def write_split(path: Path, examples: Examples) -> None:
    """Write one split and wait until it is on the disk."""
    tensors = {"images": examples.images.contiguous(), "labels": examples.labels.contiguous()}
    save_file(tensors, path)
    sharing.publish(path)  # safetensors makes private files
    with path.open("rb") as file:
        os.fsync(file.fileno())


def describe(
    home: Path,
    splits: Mapping[str, Examples],
    source: str | None,
    overlap: int,
    remarks: list[str],
) -> Manifest:
    """The manifest of the files in ``home``, whose contents are ``splits``."""
    files = {
        split: FileFacts(
            bytes=split_path(home, split).stat().st_size,
            sha256=sha256(split_path(home, split)),
            shape=list(examples.images.shape),
            content=_content_digest(examples),
        )
        for split, examples in splits.items()
    }
    return Manifest(splits["train"].num_classes, source, files, overlap, remarks)


def write_manifest(home: Path, manifest: Manifest) -> None:
    """Write the manifest with a digest of itself, atomically."""
    facts = {"format": FORMAT, **asdict(manifest)}
    write_json(home / MANIFEST, facts | {"digest": digest(facts)})


def read_manifest(home: Path) -> Manifest | None:
    """The manifest in ``home``, or None where there is none; raises DataError for a wrong one."""
    path = home / MANIFEST
    try:
        return _parsed(json.loads(read_file(path, MANIFEST_BYTES)))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be used ({as_line(error)}): delete it and run again"
        ) from None


def _parsed(facts: Any) -> Manifest:
    """The manifest in what was JSON; raises ValueError, KeyError or TypeError for anything else."""
    if facts["format"] != FORMAT:
        raise ValueError(f"its format is {facts['format']}, not {FORMAT}")
    found = facts.pop("digest", None)
    if found not in (None, digest(facts)):
        raise ValueError("its digest is not that of its contents")
    files = {split: FileFacts(**facts["files"][split]) for split in SPLITS}
    overlap = None if found is None else facts["overlap"]
    remarks = None if found is None else facts.get("remarks")
    counts = [facts["num_classes"], *([] if overlap is None else [overlap])]
    for file in files.values():
        counts += [file.bytes, *file.shape]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("a number in it is none")
    if remarks is not None:
        if not isinstance(remarks, list) or not all(isinstance(text, str) for text in remarks):
            raise ValueError("its remarks are no texts")
        remarks = [as_line(text) for text in remarks]
    return Manifest(facts["num_classes"], facts["source"], files, overlap, remarks)


def verify(home: Path, manifest: Manifest) -> None:
    """Compare both files with their digests, in parallel; raises DataError where one differs."""
    with ThreadPoolExecutor(len(SPLITS)) as pool:
        list(pool.map(lambda split: _verify_file(home, manifest, split), SPLITS))


def map_split(path: Path, num_classes: int, names: Sequence[str] = ()) -> Examples:
    """Open a packed file without reading it: pages come from the disk when they are touched.

    The mapping is private, so that nothing written to the tensors reaches the file. Raises
    DataError for a file of another form.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
            if found != TENSORS:
                raise DataError(
                    f"{path} holds {as_line(found or 'nothing')}, not images (U8) and labels "
                    "(I64): delete it to pack it again"
                )
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in TENSORS}
    except (SafetensorError, EOFError) as error:
        raise DataError(
            f"{path} is truncated or no safetensors file ({as_line(error)}): "
            "delete it to pack it again"
        ) from None
    return Examples(tensors["images"], tensors["labels"], num_classes, names=names)


def _verify_file(home: Path, manifest: Manifest, split: str) -> None:
    path, facts = split_path(home, split), manifest.files[split]
    size = path.stat().st_size
    if size != facts.bytes:
        problem = f"has {size} bytes instead of {facts.bytes}"
    elif sha256(path) != facts.sha256:
        problem = f"is corrupted (its sha256 is not the one in {MANIFEST})"
    else:
        return
    raise DataError(f"{path} {problem}: delete it to pack it again")


def _content_digest(examples: Examples) -> str:
    digest = hashlib.sha256()
    for tensor in (examples.images, examples.labels):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
