"""What a checkpoint may hold beside its tensors: an object of ours stands in for each of it.

A pickle names classes and functions, which are then called. PyTorch's restricted unpickler calls
those that it knows and refuses all others. What a training leaves beside its weights (NumPy's
numbers, parsed arguments, paths, times, settings) is not needed here, so no class of NumPy, of
argparse or of pathlib is called either: their names lead to stand-ins that do nothing with what
they are given, whatever that is. Only what an array consists of is kept, to be looked at as bytes.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

MOST_AXES = 8


class Inert:
    """Stands in for what is not read; keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "Inert":
        return object.__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Whatever a pickle says of it."""


class Mapping:
    """Stands in for a mapping of another kind: what is put into it goes into a plain one."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


class NoBytes:
    """Stands in for bytes, which are called where there are none: of an array without numbers."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return b""


class Items:
    """Stands in for a sequence of another kind."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return []


class Kind(Inert):
    """Stands in for NumPy's dtypes: ``code`` as pickles have it, ``order`` of its bytes."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        """(version, byte order, ...)."""
        if type(state) is tuple and len(state) > 1:
            self.order = state[1]


class Array(Inert):
    """Stands in for NumPy's arrays: ``state`` is (version, shape, dtype, by columns, bytes)."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


CODES = ("b1", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
ORDERS = ("<", ">", "|", "=")


def tensor_of(array: Array) -> Tensor:
    """The numbers of an array; raises ValueError for what is no array of real numbers."""
    state = vars(array).get("state")
    if type(state) is not tuple or len(state) != 5:
        raise ValueError("an array without content")
    _, shape, kind, by_columns, content = state
    if type(kind) is not Kind or kind.code not in CODES or kind.order not in ORDERS:
        raise ValueError("an array of other things than real numbers")
    fine = type(shape) is tuple and len(shape) <= MOST_AXES
    if not fine or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("an array without a shape")
    dtype = np.dtype(kind.code).newbyteorder(kind.order)
    if type(content) is not bytes or len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError("an array with another number of bytes")
    found = np.frombuffer(content, dtype)
    found = found.reshape(shape, order="F" if by_columns is True else "C")
    return torch.from_numpy(np.array(found, dtype.newbyteorder("=")))


_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_INERT = {
    "argparse": ("Namespace",),
    "types": ("SimpleNamespace",),
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,  # Python 3.13
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "uuid": ("UUID",),
    "typing": ("Any",),
    # What a default dictionary makes, and sets that do not change.
    "builtins": (
        *("bool", "dict", "float", "frozenset", "int", "list", "range", "slice", "str", "tuple"),
    ),
    "numpy._core.multiarray": ("scalar",),
    "numpy.core.multiarray": ("scalar",),
    # Settings, as Hydra's users save them.
    "omegaconf.base": ("ContainerMetadata", "Metadata"),
    "omegaconf.dictconfig": ("DictConfig",),
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.nodes": (
        *("AnyNode", "BooleanNode", "BytesNode", "FloatNode", "IntegerNode", "PathNode"),
        "StringNode",
    ),
}
_OTHERS: dict[str, Callable[..., Any]] = {
    "builtins.bytes": NoBytes,
    "collections.defaultdict": Mapping,
    "collections.deque": Items,
    "lightning.fabric.utilities.data.AttributeDict": Mapping,
    "lightning_fabric.utilities.data.AttributeDict": Mapping,
    "pytorch_lightning.utilities.parsing.AttributeDict": Mapping,
    "numpy.dtype": Kind,
    "numpy.ndarray": Array,
    "numpy._core.multiarray._reconstruct": Array,
    "numpy.core.multiarray._reconstruct": Array,
}

STAND_INS: dict[str, Callable[..., Any]] = {
    **{f"{module}.{name}": Inert for module, names in _INERT.items() for name in names},
    **_OTHERS,
}
"""What is read besides tensors and plain containers, by the name that pickles call it."""


@contextmanager
def allowed() -> Iterator[None]:
    """Let PyTorch's unpickler meet these names, and none that others have allowed it."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([(one, name) for name, one in STAND_INS.items()])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
