"""From what a file holds to one form: tensors by name, masks beside them, and what was passed over.

A training leaves its network's tensors under one of many names, beside much else. Which of several
is meant is not guessed: it is refused, with their names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sanity.core.errors import DataError, as_line, listed
from sanity.networks.foreign.files import read
from sanity.networks.foreign.stand_ins import Array, tensor_of

DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
}
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
MASKS = ("masks", "mask")
DEEPEST = 4  # wrappers within wrappers
UNNAMED = "(an array without a name)"

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Content:
    """Of a file: ``tensors`` by their names in it, ``masks`` from a dictionary of their own.

    ``notes`` say what of it was not read.
    """

    path: Path
    tensors: Tensors
    masks: Tensors
    notes: tuple[str, ...] = ()


def contents(path: Path) -> Content:
    """What a file holds of a network; raises DataError for anything else.

    That is: no tensors by name, several state dicts of which any could be meant, tensors that are
    sparse, quantized, complex or without values, and claims of more than the file can hold.
    """
    content, room = read(path)
    if isinstance(content, Tensor | Array):
        content = {UNNAMED: content}
    try:
        found, masks, notes = _unwrapped(path, content, DEEPEST)
    except ValueError as error:
        raise DataError(
            f"{as_line(path)}: holds no dense array of real numbers in {as_line(error)}"
        ) from None
    _refuse_odd(path, {**found, **{f"masks.{name}": mask for name, mask in masks.items()}}, room)
    return Content(path, found, masks, notes)


def refuse_infinite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise DataError for tensors of numbers that are none: of a training that diverged."""
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise DataError(f"{as_line(path)}: holds NaN or infinite values in {listed(broken)}")


def _unwrapped(path: Path, content: Any, depth: int) -> tuple[Tensors, Tensors, tuple[str, ...]]:
    """The state dict that ``content`` is, or wraps; the masks beside it; what was passed over."""
    if not isinstance(content, dict):
        raise DataError(f"{as_line(path)}: {_nothing(content)}")
    items = dict(_items(content))
    inner = {name: value for name, value in items.items() if isinstance(value, dict)}
    masks = _masks(path, items)
    chosen, averages = (
        [name for name in names if _holds_tensors(inner.get(name), depth - 1, set())]
        for names in (WRAPPERS, AVERAGES)
    )
    notes = []
    if chosen and averages:
        notes.append(f"{chosen[0]} is read, {' and '.join(averages)} beside it not")
    elif averages:
        chosen = averages
        notes.append(f"{averages[0]}, an average over the training, is read: there is no other")
    if len(chosen) > 1:
        raise DataError(
            f"{as_line(path)}: holds several state dicts, {' and '.join(chosen)}, and any could be "
            "meant: save the one alone"
        )
    if not chosen:
        tensors = dict(_tensors(items))
        if not tensors and not masks:
            raise DataError(f"{as_line(path)}: {_nothing(content)}")
        return tensors, masks, ()
    found, more, others = _unwrapped(path, inner[chosen[0]], depth - 1)
    if masks and more:
        raise DataError(f"{as_line(path)}: holds masks beside {chosen[0]} and within: keep one")
    return found, masks or more, (*notes, *others)


def _masks(path: Path, items: Mapping[str, Any]) -> Tensors:
    """The masks in a dictionary of their own, if there is one."""
    kept = {
        name: items[name]
        for name in MASKS
        if isinstance(items.get(name), dict | list) and len(items[name])
    }
    if len(kept) > 1:
        raise DataError(f"{as_line(path)}: holds both masks and mask: keep one")
    for name, value in kept.items():
        found = dict(_tensors(dict(_items(value)))) if isinstance(value, dict) else {}
        if len(found) < len(value) or not found:
            raise DataError(
                f"{as_line(path)}: {name} in it maps no names of layers to tensors, so that nobody "
                "knows which mask is which layer's"
            )
        return found
    return {}


def _holds_tensors(content: Any, depth: int, seen: set[int]) -> bool:
    """Whether there is a state dict in it, however deep; what was ``seen`` has none."""
    if not isinstance(content, dict) or depth < 0 or id(content) in seen:
        return False
    seen.add(id(content))  # it may hold itself
    items = dict(_items(content))
    if any(_tensors(items)):
        return True
    names = (*WRAPPERS, *AVERAGES, *MASKS)
    return any(_holds_tensors(items.get(name), depth - 1, seen) for name in names)


def _items(content: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """What is there by name.

    A pickle may set any attribute of what it contains, names of methods too, so only functions
    that belong to the types are called.
    """
    return ((name, value) for name, value in dict.items(content) if isinstance(name, str))


def _tensors(items: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors among them, and NumPy's arrays as tensors, without gradients.

    Raises ValueError naming one that was never given its values, or is an array of other things.
    """
    for name, value in items.items():
        if isinstance(value, Tensor | Array):
            try:
                yield name, tensor_of(value) if isinstance(value, Array) else Tensor.detach(value)
            except Exception:  # what a pickle says of it may be anything
                raise ValueError(name) from None


def _nothing(content: Any) -> str:
    """That there is no state dict, and what there is."""
    told = "holds no state dict, which maps names of parameters to tensors"
    if not isinstance(content, dict):
        return f"{told}, but a {type(content).__name__}"
    names = [name for name, _ in _items(content)]
    return f"{told}; it has {listed(names)}" if names else told


def _refuse_odd(path: Path, tensors: Mapping[str, Tensor], room: int) -> None:
    """Raise DataError unless all are dense numbers on the CPU, in ``room`` bytes together."""
    odd = [name for name, tensor in tensors.items() if not _is_plain(tensor)]
    if odd:
        raise DataError(f"{as_line(path)}: holds no dense array of real numbers in {listed(odd)}")
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > room:
        raise DataError(f"{as_line(path)}: claims {claimed:,} bytes of values and is far smaller")


def _is_plain(tensor: Tensor) -> bool:
    return (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and tensor.dtype in DTYPES
        and not tensor.is_nested
    )
