"""Checkpoints of others: the weights in them, read as data, never as code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sanity.core.errors import DataError, as_line, listed
from sanity.networks.foreign.forms import contents, refuse_infinite
from sanity.networks.foreign.names import MASK, ORIGINAL, TENSOR, Wanted, match

DATA_PARALLEL = "module."


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, by their names in it.

    Reads what torch.save wrote since PyTorch 0.3 (the reference's init.pth.tar and pruned.pth.tar),
    safetensors and NumPy's arrays; a bare state dict or one below a key such as ``state_dict``.
    DataParallel's prefix ``module.`` is dropped; whatever else stands before names is known where
    the network is: :func:`weights_for`. Raises DataError for anything else: pickled code, values
    that are no numbers, tensors that are sparse, quantized, complex or without values, and claims
    of more values than the file can hold.
    """
    state = contents(path).tensors
    refuse_infinite(path, state)
    named = {name.removeprefix(DATA_PARALLEL): tensor for name, tensor in state.items()}
    if len(named) < len(state):
        raise DataError(f"{as_line(path)}: holds parameters twice, with and without module.")
    return named


def weights_for(wanted: Wanted, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors in a file by their names in the network ``wanted``, and what to know of them.

    Of a layer that torch.nn.utils.prune has pruned it is the product of weight and mask. Raises
    DataError like :func:`load_state_dict` and :func:`fit`, and where several networks in the file
    would fit.
    """
    content = contents(path)
    found = content.tensors
    matched = match(path, {name: tuple(one.shape) for name, one in found.items()}, wanted)
    state = {name: found[name] for name in matched.unknown}  # which does not fit, by its name there
    idle = [*content.masks]
    for (kind, parameter), name in matched.parts.items():
        mask = matched.parts.get((MASK, parameter))
        if kind == TENSOR:
            state[parameter] = found[name]
        elif kind == MASK:
            idle += [] if (ORIGINAL, parameter) in matched.parts else [name]
        elif mask is None or (TENSOR, parameter) in matched.parts:
            state[name] = found[name]
        else:
            state[parameter] = _product(path, found[name], found[mask], name)
    if idle and not state:
        raise DataError(f"{as_line(path)}: holds masks alone, of {listed(idle)}, and no weights")
    _refuse_unfit(wanted, state, path)
    refuse_infinite(path, state)
    note = ("the masks in it are not used: only pruner=from_checkpoint reads them",) if idle else ()
    return state, (*content.notes, *matched.notes, *note)


def initialise_from(network: nn.Module, path: Path) -> None:
    """Give ``network`` the weights in a file; raises DataError like :func:`weights_for`."""
    state, _ = weights_for(Wanted.of(network), path)
    network.load_state_dict(state, strict=False)


def fit(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Give ``network`` the tensors of ``state``, read from ``path``.

    PyTorch 0.3 did not count batches (``num_batches_tracked``), so these may be missing. Raises
    DataError, with ``network`` unchanged, where anything else is missing, surplus or misshaped.
    """
    _refuse_unfit(Wanted.of(network), state, path)
    network.load_state_dict(state, strict=False)


def _refuse_unfit(wanted: Wanted, state: Mapping[str, Tensor], path: Path) -> None:
    """Raise DataError naming what a network lacks, and what a file holds instead."""
    shapes = dict(wanted.shapes)
    counters = {name for name in shapes if name.endswith(".num_batches_tracked")}
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {shape}"
        for name, shape in shapes.items()
        if name in state and state[name].shape != shape
    ]
    problems = {
        "lacks": [name for name in shapes if name not in state and name not in counters],
        "has in surplus": [name for name in state if name not in shapes],
        "has in another shape": misshaped,
    }
    found = [f"{what} {listed(names)}" for what, names in problems.items() if names]
    if found:
        described = f"arch ({wanted.described})"
        raise DataError(f"{as_line(path)}: does not fit {described}: it {'; '.join(found)}")


def _product(path: Path, weight: Tensor, mask: Tensor, name: str) -> Tensor:
    if weight.shape != mask.shape:
        raise DataError(
            f"{as_line(path)}: holds {as_line(name)} {tuple(weight.shape)} under a mask of the "
            f"shape {tuple(mask.shape)}"
        )
    return torch.where(mask != 0, weight, torch.zeros((), dtype=weight.dtype))
