"""Data sets are packed once, then opened by mapping the packed files.

``<data_dir>/<name>/`` holds ``train.safetensors``, ``test.safetensors`` and ``manifest.json``.
The manifest comes last when packing and vouches for the other two, so that an interrupted run
leaves nothing that would be taken for a packed data set.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import Timeout
from safetensors import SafetensorError

from sanity.core import locks, sharing
from sanity.core.errors import DataError, StoreError
from sanity.core.files import digest, fsync_directory
from sanity.data.contents import (
    check_classes,
    check_overlap,
    count_overlap,
    hash_images,
    look_into,
)
from sanity.data.form import check_alike, check_form, check_known
from sanity.data.packed_files import (
    MANIFEST,
    SPLITS,
    Manifest,
    describe,
    is_complete,
    map_split,
    read_manifest,
    split_path,
    verify,
    write_manifest,
    write_split,
)
from sanity.datasets.base import Dataset, Examples, Packed
from sanity.identity import code_of

log = logging.getLogger(__name__)

ADOPTED = "adopted"
"""In place of a source: packed files that somebody put there, whatever code would have read."""


def open_packed(dataset: Dataset, data_dir: Path) -> Packed:
    """The data set's splits, mapped and verified; packs it first where that was not done yet.

    Packed files that came without a manifest are checked and adopted. Raises DataError where
    files are missing, damaged, not what the settings say or no longer those that a key was made
    of, StoreError where ``data_dir`` cannot be read or written.
    """
    source = _source(dataset)
    home = data_dir / (dataset.directory or dataset.packed_as)  # whatever was filled in since
    _sweep_up(home)
    with _disk_errors(data_dir):
        manifest = _current(home, source)
        if dataset.fingerprint not in (None, manifest and manifest.fingerprint):
            raise DataError(f"{dataset.name}: its files have changed since this run began")
        known = (home / MANIFEST).exists()
        if manifest is None and dataset.named and is_complete(home) and not known:
            return _adopt(dataset, home, None if source is None else ADOPTED)
        if manifest is None:
            manifest = _pack(dataset, data_dir, home, source)
        verify(home, manifest)
        splits = _map(dataset, home, manifest.num_classes)
        # Of data sets that are published all is known.
        unseen = manifest.remarks is None and not dataset.pixel_digests
        if manifest.overlap is None or unseen:
            manifest = _complete(dataset, home, splits, manifest)
    return _packed(dataset, home, splits, manifest)


def _packed(
    dataset: Dataset, home: Path, splits: Mapping[str, Examples], manifest: Manifest
) -> Packed:
    assert manifest.overlap is not None, "it was counted"
    check_overlap(dataset, manifest.overlap, len(splits["test"]), where=str(home))
    return Packed(
        splits["train"],
        splits["test"],
        manifest.fingerprint,
        manifest.overlap,
        tuple(manifest.remarks or ()),
    )


def _source(dataset: Dataset) -> str | None:
    """The state of the original files and, for a class of one's own, of the code that reads them.

    None for data sets of this package whose name says it all.
    """
    files = dataset.source_digest()
    facts, _ = code_of(dataset.own_settings, type(dataset))
    return digest([files, facts]) if facts else files


def _current(home: Path, source: str | None) -> Manifest | None:
    """The manifest of a complete pack of the original files and code as they are now."""
    manifest = read_manifest(home) if is_complete(home) else None
    return manifest if manifest and manifest.source in (source, ADOPTED) else None


def _map(dataset: Dataset, home: Path, num_classes: int) -> dict[str, Examples]:
    names = dataset.class_names()
    splits = {split: map_split(split_path(home, split), num_classes, names) for split in SPLITS}
    for split, examples in splits.items():
        check_form(dataset, split, examples, where=str(split_path(home, split)))
    check_alike(splits, where=str(home))
    check_classes(splits, where=str(home))
    return splits


def _look_into(
    dataset: Dataset, splits: Mapping[str, Examples], where: str
) -> tuple[int, list[str]]:
    """The overlap of the splits and what else is to be known, each told once, here."""
    hashes = hash_images(splits)
    remarks = look_into(dataset, splits, hashes, where)
    overlap = count_overlap(dataset, hashes, where)
    for remark in remarks:
        log.warning("%s: %s", where, remark)
    return overlap, remarks


def _describe(
    dataset: Dataset, home: Path, splits: Mapping[str, Examples], source: str | None
) -> Manifest:
    """The manifest of mapped files, after a check of all that is known about them."""
    for split, examples in splits.items():
        check_known(dataset, split, examples, where=str(split_path(home, split)))
    return describe(home, splits, source, *_look_into(dataset, splits, where=str(home)))


def _complete(
    dataset: Dataset, home: Path, splits: Mapping[str, Examples], manifest: Manifest
) -> Manifest:
    """Count what a manifest of an earlier release leaves out; DataError where it is wrong."""
    complete = _describe(dataset, home, splits, manifest.source)
    known = replace(complete, overlap=manifest.overlap, remarks=manifest.remarks)
    if known != manifest or manifest.overlap not in (None, complete.overlap):
        raise DataError(f"{home / MANIFEST} tells of other contents: delete it and run again")
    try:
        if read_manifest(home) == manifest:  # no other run has packed the data anew meanwhile
            write_manifest(home, complete)
    except OSError as error:  # a read-only directory serves as well, at the cost of a count a run
        log.debug("%s: the manifest stays as it is (%s)", home, error)
    return complete


def _adopt(dataset: Dataset, home: Path, source: str | None) -> Packed:
    """Use packed files of unknown origin, after a check of all that is known about them."""
    assert dataset.num_classes is not None, "a named data set knows its classes"
    splits = _map(dataset, home, dataset.num_classes)
    manifest = _describe(dataset, home, splits, source)
    try:
        write_manifest(home, manifest)
        log.info("%s: checked the packed files found there and wrote %s", home, MANIFEST)
        if not dataset.label_digests:
            log.warning("%s: nothing is known to hold its labels against; trust them?", home)
    except OSError as error:  # a read-only directory serves as well, at the cost of a check a run
        log.debug("%s: no manifest written (%s)", home, error)
    return _packed(dataset, home, splits, manifest)


def _pack(dataset: Dataset, data_dir: Path, home: Path, source: str | None) -> Manifest:
    """Read the original files and write the packed ones, unless another process just did."""
    sharing.make_directory(data_dir)
    partial, lock = _beside(home)
    with locks.held(lock, f"{dataset.name} is being packed"):
        done = _current(home, source)
        if done:
            return done
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        sharing.make_directory(partial)
        try:
            log.info("packing %s into %s", dataset.name, home)
            splits = dataset.read(data_dir)
            for split, examples in splits.items():
                check_form(dataset, split, examples, where=f"{dataset.name} ({split})")
                check_known(dataset, split, examples, where=f"{dataset.name} ({split})")
            check_alike(splits, where=dataset.name)
            named = dataset.class_names()
            splits = {split: replace(one, names=named) for split, one in splits.items()}
            check_classes(splits, where=dataset.name)
            overlap, remarks = _look_into(dataset, splits, where=dataset.name)
            for split, examples in splits.items():
                write_split(split_path(partial, split), examples)
            manifest = describe(partial, splits, source, overlap, remarks)
            _install(partial, home, manifest)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _install(partial: Path, home: Path, manifest: Manifest) -> None:
    """Move finished files to where they belong, the manifest last."""
    write_manifest(partial, manifest)
    sharing.make_directory(home)
    (home / MANIFEST).unlink(missing_ok=True)
    for split in SPLITS:
        split_path(partial, split).replace(split_path(home, split))
    fsync_directory(home)
    (partial / MANIFEST).replace(home / MANIFEST)
    fsync_directory(home)
    fsync_directory(home.parent)


def _beside(home: Path) -> tuple[Path, Path]:
    """Where a data set is packed, and the lock of who packs it."""
    return home.with_name(f".{home.name}.partial"), home.with_name(f".{home.name}.lock")


def _sweep_up(home: Path) -> None:
    """Remove what a packing has left that was killed when all was done but this."""
    partial, lock = _beside(home)
    if partial.exists():
        with suppress(OSError, Timeout), locks.lock_at(lock).acquire(timeout=0):
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _disk_errors(data_dir: Path) -> Iterator[None]:
    """Say in one line what the disk refused, also where safetensors wraps the system's words."""
    try:
        yield
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        raise StoreError(
            f"data_dir={data_dir}: {locks.why_not(error)}{where}; make room, or set data_dir to "
            "a directory you may write to"
        ) from error
    except SafetensorError as error:
        raise StoreError(f"data_dir={data_dir}: cannot be written ({error})") from error
