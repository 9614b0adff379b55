"""The mask in a file that another tool has made: an explicit one where there is any, else zeros.

A weight may be 0 and alive, so a mask that is there is what counts, and a weight under it is looked
at no further. Only a file that has no mask at all is read by its zeros.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sanity.core.errors import DataError, as_line, listed
from sanity.networks.foreign.forms import UNNAMED, Content, contents, refuse_infinite
from sanity.networks.foreign.names import MASK, TENSOR, Wanted, match
from sanity.pruning import ticket
from sanity.pruning.masks import Mask, kept

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Found:
    """A mask, and ``notes``: what to know of how it was read."""

    mask: Mask
    notes: tuple[str, ...]


def mask_in(path: Path, wanted: Wanted) -> Found:
    """The mask that a file holds for the network ``wanted``.

    Raises DataError where it is another network's, several could be meant, a mask is none (other
    values than 0 and 1), or nothing or everything is pruned.
    """
    read = _read(path, wanted)
    parameters = {parameter for _, parameter in wanted.layers}
    weights = {name: one for name, one in read.tensors.items() if name in parameters}
    masks, notes = dict(read.masks), list(read.notes)
    why = "its masks keep all weights"
    if not parameters & masks.keys():
        if weights and all(map(_is_mask, weights.values())):
            masks |= {name: _bits(one) for name, one in weights.items()}
        else:
            _refuse_lacking(path, wanted, weights)
            refuse_infinite(path, weights)
            masks |= {name: one != 0 for name, one in weights.items()}
            why = "no weight in it is 0, and it has no mask"
    elif read.there:
        _refuse_lacking(path, wanted, [*read.there, *masks])
    bare = [parameter for _, parameter in wanted.layers if parameter not in masks]
    mask = {
        layer: torch.ones(shape, dtype=torch.bool) if parameter in bare else masks[parameter]
        for layer, parameter, shape in wanted.weights
    }
    _refuse_shapes(path, wanted, mask)
    notes += [*_without_mask(bare, weights), *_never_pruned(masks.keys() - parameters, masks)]
    return Found(_useful(path, mask, why), tuple(notes))


@dataclass(frozen=True)
class _Read:
    """Weights and masks of a file by the names of the network's parameters.

    ``there`` are those of which the file has weights, be it below another name.
    """

    tensors: Tensors
    masks: Tensors
    there: tuple[str, ...]
    notes: tuple[str, ...]


def _read(path: Path, wanted: Wanted) -> _Read:
    content = _with_names(contents(path), wanted)
    if weights := _of_a_store(content.tensors):
        content = _expanded(content, weights)
    tensors, masks, there, notes = Tensors(), Tensors(), list[str](), list(content.notes)
    for found in (content.tensors, content.masks):
        matched = match(path, {name: tuple(one.shape) for name, one in found.items()}, wanted)
        _refuse_surplus(path, wanted, {name: found[name] for name in matched.unknown})
        notes += matched.notes
        for (kind, parameter), name in matched.parts.items():
            if kind == MASK or (kind == TENSOR and found is content.masks):
                _add_mask(path, masks, parameter, name, found[name])
                continue
            there.append(parameter)
            if kind == TENSOR:
                tensors[parameter] = found[name]
    return _Read(tensors, masks, tuple(there), tuple(notes))


def _add_mask(path: Path, masks: Tensors, parameter: str, name: str, mask: Tensor) -> None:
    """Note the mask of a parameter; raises DataError for one that is none, or another one."""
    if not _is_mask(mask):
        wrong = "is no mask: it has other values than 0 and 1"
        raise DataError(f"{as_line(path)}: {as_line(name)} {wrong}")
    bits = _bits(mask)
    if not torch.equal(masks.setdefault(parameter, bits), bits):
        raise DataError(f"{as_line(path)}: holds two masks of {parameter}, which differ")


def _with_names(content: Content, wanted: Wanted) -> Content:
    """An array without a name is the one layer's, where there is one."""
    if content.tensors.keys() != {UNNAMED}:
        return content
    if len(wanted.layers) != 1:
        raise DataError(
            f"{as_line(content.path)}: is an array without a name, and arch ({wanted.described}) "
            "has several; save masks by their layers' names: numpy.savez(file, **masks)"
        )
    named = {wanted.layers[0][1]: content.tensors[UNNAMED]}
    return Content(content.path, named, content.masks, content.notes)


def _of_a_store(tensors: Tensors) -> list[str]:
    """The weights beside which a ticket keeps a mask as bits, and a shape; none of other files."""
    masked = [name.removesuffix(ticket.MASK) for name in tensors if name.endswith(ticket.MASK)]
    return [weight for weight in masked if f"{weight}{ticket.SHAPE}" in tensors]


def _expanded(content: Content, weights: Collection[str]) -> Content:
    """A ticket as stores keep it, with its mask."""
    try:
        if not content.tensors.keys() >= set(weights):
            raise ValueError("it lacks weights")
        state, mask = ticket.expand(content.tensors)
    except Exception:  # anybody may have written it
        raise DataError(f"{as_line(content.path)}: is no ticket of a store, or damaged") from None
    return Content(content.path, state, mask, content.notes)


def _refuse_surplus(path: Path, wanted: Wanted, unknown: Mapping[str, Tensor]) -> None:
    """Weights and masks of other layers are another network's; vectors may be anybody's."""
    surplus = [name for name, one in unknown.items() if one.dim() > 1]
    if surplus:
        names = listed([parameter for _, parameter in wanted.layers])
        raise DataError(_unfit(path, wanted, f"has in surplus {listed(surplus)}; arch has {names}"))


def _refuse_lacking(path: Path, wanted: Wanted, weights: Collection[str]) -> None:
    """Beside weights of others, a layer that is not there at all is no dense one."""
    names = [parameter for _, parameter in wanted.layers]
    lacking = [name for name in names if name not in weights]
    if lacking:
        known = listed([name for name in names if name in weights]) or "weights of no layer"
        there = f"it has {known}"
        raise DataError(_unfit(path, wanted, f"lacks {listed(lacking)}; {there}"))


def _refuse_shapes(path: Path, wanted: Wanted, mask: Mask) -> None:
    """Raise DataError for what is found of a layer in another shape."""
    for layer, _, wants in wanted.weights:
        shape = tuple(mask[layer].shape)
        if shape != wants:
            raise DataError(_unfit(path, wanted, f"has {layer} {shape} instead of {wants}"))


def _unfit(path: Path, wanted: Wanted, what: str) -> str:
    return f"{as_line(path)}: does not fit arch ({wanted.described}): it {what}"


def _useful(path: Path, mask: Mask, why: str) -> Mask:
    """The mask, unless it is of a dense network, or of nothing."""
    count, total = sum(kept(mask).values()), sum(keep.numel() for keep in mask.values())
    if count == total:
        raise DataError(f"{as_line(path)}: {why}, so it is not pruned")
    if not count:
        raise DataError(f"{as_line(path)}: keeps no weight at all")
    return mask


def _without_mask(names: list[str], weights: Mapping[str, Tensor]) -> list[str]:
    """That layers stay dense, which nobody has masked; zeros in them may have been meant."""
    if not names:
        return []
    zeros = sum(int((weights[name] == 0).sum()) for name in names if name in weights)
    note = f"there is no mask of {listed(names)}: dense"
    return [f"{note}, though {zeros:,} weights are 0 there" if zeros else note]


def _never_pruned(names: set[str], masks: Mapping[str, Tensor]) -> list[str]:
    """That masks are left out: of biases and norms, which are never pruned here."""
    pruned = sorted(name for name in names if not bool(masks[name].all()))
    return [f"masks of what is never pruned here are left out: {listed(pruned)}"] if pruned else []


def _is_mask(one: Tensor) -> bool:
    return one.dtype == torch.bool or bool(((one == 0) | (one == 1)).all())


def _bits(mask: Tensor) -> Tensor:
    """A mask of truth values; a file may hold other bytes than 0 and 1 for them."""
    return mask.contiguous().view(torch.uint8) != 0 if mask.dtype == torch.bool else mask != 0
