"""Image files as packed splits: all are decoded, and all that cannot be used are told at once."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sanity.core.console import bar, duration
from sanity.core.errors import DataError, as_line, listed
from sanity.data.decoders import decode_files
from sanity.data.decoding import TRAITS, Decoded, Form
from sanity.data.scratch import Scratch
from sanity.datasets.base import SPLIT_NAMES, Examples

log = logging.getLogger(__name__)

Files = Sequence[tuple[str, int]]
"""(name, class) pairs."""

ENOUGH = 1000  # bad files after which the others need not be looked at


@dataclass
class _Finds:
    """What all splits have shown so far: files that cannot be used by reason, and sizes."""

    bad: dict[str, list[str]] = field(default_factory=dict)
    sizes: dict[tuple[int, int], list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        squares = [len(names) for (height, width), names in self.sizes.items() if height == width]
        odd = sum(map(len, self.sizes.values())) - max(squares, default=0)
        return odd + sum(map(len, self.bad.values()))

    def refuse(self) -> None:
        """Raise DataError for all of them, each reason and size with its first files."""
        if not len(self):
            return
        problems = [f"{listed(sorted(names))}: {reason}" for reason, names in self.bad.items()]
        if len(self.sizes) > 1 or any(height != width for height, width in self.sizes):
            sizes = [
                f"{width}x{height} pixels ({len(names):,}, such as {as_line(min(names))})"
                for (height, width), names in sorted(
                    self.sizes.items(), key=lambda size: len(size[1]), reverse=True
                )
            ]
            problems.append(
                f"images have {listed(sizes)}, but must be squares of one size: set "
                "dataset.image_size to resize them"
            )
        at_least = "at least " if len(self) >= ENOUGH else ""
        count = f"{at_least}{len(self):,} files cannot be used: " if len(self) > 1 else ""
        raise DataError(as_line(f"{count}{listed(problems, separator='; ')}"))


def read_images(
    splits: Mapping[str, Files],
    load: Callable[[str], bytes],
    form: Form,
    num_classes: int,
    label: str,
    directory: Path,
) -> dict[str, Examples]:
    """Decode the files of all splits, in the given order; ``label`` stands at the progress bar.

    ``directory`` is where the pixels are until they are packed. Raises DataError naming the files
    that cannot be read or used, or whose sizes differ, the first of each kind, and where the disk
    has no room for all.
    """
    form.validate()
    finds = _Finds()
    read, start = {}, time.perf_counter()
    for split, files in splits.items():
        named = f"{label} {split}"
        with closing(Scratch(directory, len(files), named)) as scratch:
            read[split] = _read_split(files, load, form, num_classes, named, split, finds, scratch)
    finds.refuse()
    count, seconds = sum(map(len, read.values())), time.perf_counter() - start
    log.info(
        "decoded %s images in %s (%s images/s)",
        *(f"{count:,}", duration(seconds), f"{count / max(seconds, 1e-9):,.0f}"),
    )
    return read


def _read_split(
    files: Files,
    load: Callable[[str], bytes],
    form: Form,
    num_classes: int,
    label: str,
    split: str,
    finds: _Finds,
    scratch: Scratch,
) -> Examples:
    """One split, in which the images that ``finds`` tells of are missing."""
    traits: Counter[str] = Counter()
    with (
        bar(as_line(label), len(files)) as progress,
        closing(_decoded(files, load, form, finds)) as images_read,  # also when it is interrupted
    ):
        for name, decoded in images_read:
            scratch.add(decoded.pixels)
            traits.update(decoded.traits)
            finds.sizes.setdefault(decoded.pixels.shape[:2], []).append(name)
            progress.advance(1)
    labels = torch.tensor([label for _, label in files], dtype=torch.int64)
    told = {trait: text.format(background=form.background) for trait, text in TRAITS.items()}
    remarks = [
        f"{traits[trait]:,} of the {len(files):,} {SPLIT_NAMES[split]} images {text}"
        for trait, text in told.items()
        if traits[trait]
    ]
    return Examples(scratch.images(), labels, num_classes, tuple(remarks))


def _decoded(
    files: Files, load: Callable[[str], bytes], form: Form, finds: _Finds
) -> Generator[tuple[str, Decoded], None, None]:
    """The images that can be decoded; the others go into ``finds``."""
    names = [name for name, _ in files]
    with closing(decode_files(names, load, form)) as answers:
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, Decoded):
                yield name, answer
            else:
                finds.bad.setdefault(answer, []).append(name)
            if len(finds) >= ENOUGH:
                finds.refuse()
