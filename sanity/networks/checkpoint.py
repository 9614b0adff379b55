"""Checkpoints of others: state dicts read as data, never as code."""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sanity.core.errors import DataError, as_line, listed, reason
from sanity.core.files import expanded
from sanity.networks.layers import prunable_weights

MOST = 4 << 30  # bytes of a file; VGG-19 with the momentum of its training has 160 million
CLAIM = 4  # times the bytes of its file: what tensors may claim, since names may share one
ZIP = b"PK\x03\x04"  # how the files begin that torch.save writes today
DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
}


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, by their names in the network.

    Reads what torch.save wrote since PyTorch 0.3 (the reference's init.pth.tar and pruned.pth.tar)
    and safetensors; either a bare state dict or one below the key ``state_dict``. DataParallel's
    prefix ``module.`` is dropped. Raises DataError for anything else: pickled code, values that
    are no numbers, tensors that are sparse, quantized, complex or without values, and claims of
    more values than the file can hold.
    """
    path = expanded(path)
    if not path.is_file():
        raise DataError(f"{as_line(path)}: no such file")
    state = _state_dict(_read(path))
    if state is None:
        raise DataError(
            f"{as_line(path)}: holds no state dict, which maps names of parameters to tensors"
        )
    _check(path, state)
    named = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if len(named) < len(state):
        raise DataError(f"{as_line(path)}: holds parameters twice, with and without module.")
    return named


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
    found = [f"{what} {listed(names)}" for what, names in problems.items() if names]
    if found:
        arch = f"{type(network).__name__} with {len(prunable_weights(network))} prunable layers"
        raise DataError(f"{as_line(path)}: does not fit arch ({arch}): it {'; '.join(found)}")
    network.load_state_dict(state, strict=False)


def _read(path: Path) -> Any:
    """The file's content; PyTorch's own unpickler admits tensors and plain containers only."""
    try:
        if path.stat().st_size > MOST:
            raise DataError(f"{as_line(path)}: has more than {MOST:,} bytes")
        if path.suffix == ".safetensors":
            return load_file(path)
        content = path.read_bytes()
        if content.startswith(ZIP):
            _check_zip(content)
        # From memory, so that PyTorch does not try the format of its beginnings, for which it
        # would unpack the file into a temporary directory.
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{as_line(path)}: cannot be read: {reason(error)}") from None
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL ([\w.]+)", str(error))
        if forbidden is None:
            raise DataError(_unreadable(path)) from None
        raise DataError(
            f"{as_line(path)}: refused, since it contains pickled code ({as_line(forbidden[1])}); "
            "save the network's state_dict() instead"
        ) from None
    except Exception:  # a damaged file can fail in any way: EOFError, KeyError, SafetensorError...
        raise DataError(_unreadable(path)) from None


def _check_zip(content: bytes) -> None:
    """Raise ValueError where the parts of a zip claim more than the file can hold."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > CLAIM * len(content):
            raise ValueError("a bomb: torch.save does not compress")


def _unreadable(path: Path) -> str:
    return f"{as_line(path)}: damaged, truncated or no checkpoint of PyTorch or safetensors"


def _state_dict(content: object) -> dict[str, Tensor] | None:
    """The tensors by name; None where the content is of another form.

    A pickle may set any attribute of what it contains, names of methods too, so only functions
    that belong to the types are called.
    """
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    items = dict.items(content) if isinstance(content, dict) else ()
    if not items or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in items):
        return None
    try:
        return {name: Tensor.detach(tensor) for name, tensor in items}
    except Exception:  # a tensor that was never given its values
        return None


def _check(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise DataError unless all tensors are finite numbers, and no more than the file holds."""
    odd = [name for name, tensor in state.items() if not _is_plain(tensor)]
    if odd:
        raise DataError(f"{as_line(path)}: holds no dense array of real numbers in {listed(odd)}")
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > CLAIM * path.stat().st_size:
        raise DataError(f"{as_line(path)}: claims {claimed:,} bytes of values and is far smaller")
    broken = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise DataError(f"{as_line(path)}: holds NaN or infinite values in {listed(broken)}")


def _is_plain(tensor: Tensor) -> bool:
    return (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and tensor.dtype in DTYPES
        and not tensor.is_nested
    )
