"""Checkpoints of others: state dicts read as data, never as code."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sanity.errors import DataError
from sanity.layers import prunable_weights


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, by their names in the network.

    Reads what torch.save wrote since PyTorch 0.3 (the reference's init.pth.tar and pruned.pth.tar)
    and safetensors; either a bare state dict or one below the key ``state_dict``. DataParallel's
    prefix ``module.`` is dropped. Raises DataError for anything else, pickled code and values
    that are no numbers included.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    content = _read(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not _is_state_dict(state):
        raise DataError(f"{path}: holds no state dict, which maps names of parameters to tensors")
    broken = [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise DataError(f"{path}: holds NaN or infinite values in {_first(broken)}")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def fit(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Give ``network`` the tensors of ``state``, read from ``path``.

    PyTorch 0.3 did not count batches (``num_batches_tracked``), so these may be missing. Raises
    DataError, with ``network`` unchanged, where anything else is missing, surplus or misshaped.
    """
    wanted = network.state_dict()
    counters = {name for name in wanted if name.endswith(".num_batches_tracked")}
    missing = [name for name in wanted if name not in state and name not in counters]
    surplus = [name for name in state if name not in wanted]
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems = {"lacks": missing, "has in surplus": surplus, "has in another shape": misshaped}
    found = [f"{what} {_first(names)}" for what, names in problems.items() if names]
    if found:
        arch = f"{type(network).__name__} with {len(prunable_weights(network))} prunable layers"
        raise DataError(f"{path}: does not fit arch ({arch}): it {'; '.join(found)}")
    network.load_state_dict(state, strict=False)


def _read(path: Path) -> Any:
    """The file's content; PyTorch's own unpickler admits tensors and plain containers only."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL ([\w.]+)", str(error))
        if forbidden is None:
            raise DataError(_unreadable(path)) from None
        raise DataError(
            f"{path}: refused, since it contains pickled code ({forbidden[1]}); save the "
            "network's state_dict() instead"
        ) from None
    except SafetensorError:
        raise DataError(_unreadable(path)) from None
    except Exception:  # a damaged pickle can fail in any way: EOFError, KeyError, RuntimeError, ...
        raise DataError(_unreadable(path)) from None


def _unreadable(path: Path) -> str:
    return f"{path}: damaged, truncated or no checkpoint of PyTorch or safetensors"


def _is_state_dict(state: object) -> bool:
    return (
        isinstance(state, Mapping)
        and len(state) > 0
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    )


def _first(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
