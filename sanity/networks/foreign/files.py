"""From a file of PyTorch, safetensors or NumPy to what is in it, with nothing in it run.

What comes out is plain: tensors, dictionaries, lists, numbers, texts. How large a file may be, and
what it may claim to hold, is bounded before memory is taken for it.
"""

import io
import math
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from safetensors.torch import load_file
from torch import Tensor

from sanity.core.errors import DataError, as_line, reason
from sanity.core.files import expanded
from sanity.networks.foreign import stand_ins

MOST = 4 << 30  # bytes of a file; VGG-19 with the momentum of its training has 160 million
INFLATED = 1 << 30  # bytes that a compressed file of NumPy may become: masks shrink a hundredfold
CLAIM = 4  # times the bytes of its file: what tensors may claim, since names may share one
ZIP = b"PK\x03\x04"  # how the files begin that torch.save and numpy.savez write today
NPY = b"\x93NUMPY"
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read(path: Path) -> tuple[Any, int]:
    """The content of a file, and how many bytes of numbers it can really hold.

    Of safetensors and ``.npz`` it is tensors by name, of ``.npy`` one tensor. Raises DataError for
    what is missing, damaged, too large or refused: code, Python objects.
    """
    path = expanded(path)
    if not path.is_file():
        raise DataError(f"{as_line(path)}: no such file")
    try:
        return _content(path)
    except OSError as error:
        raise DataError(f"{as_line(path)}: cannot be read: {reason(error)}") from None
    except _RefusedError as error:
        raise DataError(f"{as_line(path)}: {error}") from None
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


class _RefusedError(Exception):
    """What is sound, and not read."""


def _unreadable(path: Path) -> str:
    return (
        f"{as_line(path)}: damaged, truncated or no checkpoint of PyTorch or safetensors, and no "
        "array of NumPy"
    )


def _content(path: Path) -> tuple[Any, int]:
    """By the first bytes: names are anybody's, but safetensors begin with none of their own."""
    size = path.stat().st_size
    if size > MOST:
        raise _RefusedError(f"has more than {MOST:,} bytes")
    if path.suffix == ".safetensors":
        return load_file(path), CLAIM * size
    content = path.read_bytes()
    if content.startswith(NPY):
        return _array(content), CLAIM * size
    if content.startswith(ZIP):
        return _zip(content)
    return _pickled(content), CLAIM * size


def _pickled(content: bytes) -> Any:
    """What torch.save wrote; its own unpickler admits tensors, plain containers and stand-ins."""
    # From memory, so that PyTorch does not try the format of its beginnings, for which it would
    # unpack the file into a temporary directory.
    with stand_ins.allowed():
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _zip(content: bytes) -> tuple[Any, int]:
    """A zip is a file of torch.save, or one of numpy.savez: then all of its parts are arrays."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        claimed = sum(part.file_size for part in parts)
        if not all(part.filename.endswith(".npy") for part in parts):
            if claimed > CLAIM * len(content):
                raise ValueError("a bomb: torch.save does not compress")
            return _pickled(content), CLAIM * len(content)
        if claimed > max(INFLATED, len(content)):
            raise _RefusedError(f"claims {claimed:,} bytes of arrays: {INFLATED:,} are the most")
        if len({part.filename for part in parts}) < len(parts):
            raise ValueError("names that come twice")
        arrays = {part.filename.removesuffix(".npy"): _array(archive.read(part)) for part in parts}
        return arrays, claimed


def _array(content: bytes) -> Tensor:
    """What numpy.save wrote: its bytes, once its header is seen to describe just these."""
    file = io.BytesIO(content)
    shape, by_columns, dtype = HEADERS[npy.read_magic(file)](file)
    if dtype.hasobject:
        raise _RefusedError(
            "refused, since it holds Python objects, which are pickled code; save arrays of "
            "numbers by their layers' names instead: numpy.savez(file, **masks)"
        )
    if dtype.str[1:] not in stand_ins.CODES:
        raise _RefusedError(
            f"holds an array of {as_line(dtype)}; bool, uint8, int8 to int64 and float16 to "
            "float64 are read"
        )
    body = memoryview(content)[file.tell() :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError("an array with another number of bytes")
    found = np.frombuffer(body, dtype).reshape(shape, order="F" if by_columns else "C")
    return torch.from_numpy(np.array(found, dtype.newbyteorder("=")))
