"""Whose tensor is which: the names in a file matched to those of a network.

Tools put words before names (``module.``, ``_orig_mod.``, ``model.``) and behind them
(``weight_orig``, ``weight_mask``). Which of these are to go is decided by the network's own names:
the prefix under which most of them are found, in their shapes, is the one; none, where that does
as well. So a network whose own attribute is called ``model`` keeps it.
"""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from sanity.core.errors import DataError, as_line, listed
from sanity.networks.layers import prunable_weights

Shape = tuple[int, ...]
Part = tuple[str, str]
"""What a tensor is to the network, and of which of its own: ``("mask", "conv1.weight")``."""

TENSOR, MASK, ORIGINAL = "tensor", "mask", "original"
WITHIN = (
    *("module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module"),
    "_checkpoint_wrapped_module",
)
"""What stands for a wrapped module inside of names too: ``features.module.0.weight``."""

BEHIND = {"_orig": ORIGINAL, "_mask": MASK, ".mask": MASK}


@dataclass(frozen=True)
class Wanted:
    """A network as files are matched to it: its tensors' shapes, its layers' parameters."""

    arch: str
    shapes: tuple[tuple[str, Shape], ...]
    layers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, network: nn.Module) -> "Wanted":
        """The parameter of a layer is its weight, or what the layer is named after itself."""
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        layers = [
            (layer, f"{layer}.weight" if f"{layer}.weight" in shapes else layer)
            for layer in prunable_weights(network)
        ]
        return cls(type(network).__name__, tuple(shapes.items()), tuple(layers))

    @property
    def weights(self) -> list[tuple[str, str, Shape]]:
        """Each layer, its parameter and that one's shape."""
        shapes = dict(self.shapes)
        return [(layer, parameter, shapes[parameter]) for layer, parameter in self.layers]

    @property
    def described(self) -> str:
        """In words, for who gave a file of another one."""
        return f"{self.arch} with {len(self.layers)} prunable layers"


@dataclass(frozen=True)
class Matched:
    """The names in a file by what they are to the network; those that are nothing to it.

    ``notes`` say which words were dropped from names, and which names were left out.
    """

    parts: Mapping[Part, str]
    unknown: tuple[str, ...]
    notes: tuple[str, ...] = ()


def match(path: Path, found: Mapping[str, Shape], wanted: Wanted) -> Matched:
    """Match ``found``, shapes by the names in a file, to a network.

    Raises DataError where two parts of the file fit as well, or two names mean the same.
    """
    prefix, words = _choose(path, list(_readings(found, wanted)), len(wanted.layers))
    parts: dict[Part, str] = {}
    unknown, outside = [], []
    roles = _Roles(wanted)
    for name in found:
        plain = without(name, words)
        if not plain.startswith(prefix):
            outside.append(name)
            continue
        part = roles(plain.removeprefix(prefix))
        if part is None:
            unknown.append(name)
        elif part in parts:
            twice = listed([parts[part], name])
            raise DataError(f"{as_line(path)}: holds {part[1]} twice: {twice}")
        else:
            parts[part] = name
    return Matched(parts, tuple(unknown), tuple(_notes(prefix, words, outside)))


def without(name: str, words: Collection[str]) -> str:
    """``name`` without any of ``words``, wherever they stand."""
    return ".".join(one for one in name.split(".") if one not in words) if words else name


@dataclass(frozen=True)
class _Reading:
    """One way to read names: what is dropped, how many are the network's, and in its shapes."""

    prefix: str
    words: tuple[str, ...]
    fits: int
    hits: int

    @property
    def rank(self) -> tuple[int, int, int, int]:
        return self.fits, self.hits, -len(self.words), -self.prefix.count(".")

    @property
    def is_average(self) -> bool:
        """Whether it is of an average over the training, by its name."""
        return "ema" in re.split(r"[._]", self.prefix)


class _Roles:
    """What a name is to a network."""

    def __init__(self, wanted: Wanted) -> None:
        self.shapes = dict(wanted.shapes)
        self.layers = dict(wanted.layers)
        longest = max((name.count(".") + 1 for name in self.shapes), default=1)
        self.depth = longest + 1  # ".mask" is a word more

    def __call__(self, name: str) -> Part | None:
        """The network's own names first: a buffer of its own may be called a mask."""
        if name in self.shapes:
            return TENSOR, name
        for ending, kind in BEHIND.items():
            if name.endswith(ending) and (owner := self._owner(name.removesuffix(ending))):
                return kind, owner
        owner = self._owner(name)
        return (MASK, owner) if owner else None

    def _owner(self, name: str) -> str | None:
        """The parameter that is named, by itself or by its layer."""
        named = (name, self.layers.get(name, ""), f"{name}.weight")
        return next((one for one in named if one in self.shapes), None)


def _readings(found: Mapping[str, Shape], wanted: Wanted) -> Iterator[_Reading]:
    """All prefixes that any name could have, with and without words within."""
    roles = _Roles(wanted)
    present = [word for word in WITHIN if any(word in name.split(".") for name in found)]
    for count in range(len(present) + 1):
        for words in itertools.combinations(present, count):
            plain = {without(name, words): shape for name, shape in found.items()}
            if len(plain) < len(found):
                continue  # two names would be one
            fits, hits = Counter[str](), Counter[str]()
            for name, shape in plain.items():
                for prefix, rest in _splits(name, roles.depth):
                    if part := roles(rest):
                        hits[prefix] += 1
                        fits[prefix] += roles.shapes[part[1]] == shape
            yield from (_Reading(one, words, fits[one], hits[one]) for one in hits)
            if len(found) in hits.values():
                return  # nothing is left to be found


def _splits(name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every prefix and what is behind it, no deeper than any name of the network."""
    words = name.split(".")
    for at in range(max(len(words) - depth, 0), len(words)):
        yield "".join(f"{word}." for word in words[:at]), ".".join(words[at:])


def _choose(path: Path, readings: list[_Reading], layers: int) -> tuple[str, tuple[str, ...]]:
    """The prefix and the words to drop; none where nothing fits.

    Of a network and its average over the training, the network.
    """
    if not readings:
        return "", ()
    best = max(readings, key=lambda one: one.rank)
    rivals = [
        one
        for one in readings
        if (one.fits, one.hits, one.words) == (best.fits, best.hits, best.words)
        if not one.prefix.startswith(best.prefix) and not best.prefix.startswith(one.prefix)
    ]
    if rivals and 2 * best.fits >= layers:  # not a few names that are alike by chance
        plain = [one for one in (best, *rivals) if not one.is_average]
        if len(plain) != 1:
            names = sorted(f"{one.prefix}*" for one in plain or (best, *rivals))
            raise DataError(
                f"{as_line(path)}: holds several networks that fit, {listed(names, 4)}, and any "
                "could be meant: save the one alone"
            )
        best = plain[0]
    return best.prefix, best.words


def _notes(prefix: str, words: Collection[str], outside: list[str]) -> Iterator[str]:
    if prefix:
        yield f"names are read without {as_line(prefix)} in front of them"
    if words:
        yield f"names are read without {listed([f'{word}.' for word in words], 5)} within them"
    if outside:
        yield f"what is not below {as_line(prefix)} is left out: {listed(outside)}"
