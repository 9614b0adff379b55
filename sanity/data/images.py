"""Image files as packed splits: all are decoded, and all that cannot be used are told at once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from sanity.core.console import bar
from sanity.core.errors import DataError, as_line, listed, reason
from sanity.data.decoding import TRAITS, Decoded, Form, decode
from sanity.datasets.base import SPLIT_NAMES, Examples

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
) -> dict[str, Examples]:
    """Decode the files of all splits, in the given order; ``label`` stands at the progress bar.

    Raises DataError naming the files that cannot be read or used, or whose sizes differ, the first
    of each kind, and where all together do not fit into memory.
    """
    form.validate()
    finds = _Finds()
    read = {
        split: _read_split(files, load, form, num_classes, f"{label} {split}", split, finds)
        for split, files in splits.items()
    }
    finds.refuse()
    return read


def _read_split(
    files: Files,
    load: Callable[[str], bytes],
    form: Form,
    num_classes: int,
    label: str,
    split: str,
    finds: _Finds,
) -> Examples:
    """One split, in which the images that ``finds`` tells of are missing."""
    images = np.empty((0, 0, 0, 0), dtype=np.uint8)
    traits: Counter[str] = Counter()
    with bar(as_line(label), len(files)) as progress:
        for position, (name, decoded) in enumerate(_decoded(files, load, form, finds)):
            pixels = decoded.pixels
            if not images.size:
                images = _room(label, (len(files), *pixels.shape))
            if pixels.shape == images.shape[1:]:
                images[position] = pixels
            traits.update(decoded.traits)
            finds.sizes.setdefault(pixels.shape[:2], []).append(name)
            progress.advance(1)
    labels = torch.tensor([label for _, label in files], dtype=torch.int64)
    told = {trait: text.format(background=form.background) for trait, text in TRAITS.items()}
    remarks = [
        f"{traits[trait]:,} of the {len(files):,} {SPLIT_NAMES[split]} images {text}"
        for trait, text in told.items()
        if traits[trait]
    ]
    return Examples(torch.from_numpy(images), labels, num_classes, tuple(remarks))


def _decoded(
    files: Files, load: Callable[[str], bytes], form: Form, finds: _Finds
) -> Iterator[tuple[str, Decoded]]:
    """The images that can be decoded; the others go into ``finds``."""
    for name, _ in files:
        try:
            yield name, decode(load(name), form)
        except OSError as error:
            finds.bad.setdefault(as_line(reason(error)), []).append(name)
        except ValueError as error:
            finds.bad.setdefault(as_line(error), []).append(name)
        if len(finds) >= ENOUGH:
            finds.refuse()


def _room(label: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty(shape, dtype=np.uint8)
    except (MemoryError, ValueError):
        count, height, width, _ = shape
        raise DataError(
            f"{as_line(label)}: {count} images of {width}x{height} pixels do not fit into memory: "
            "set dataset.image_size to a smaller one"
        ) from None
