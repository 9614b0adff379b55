"""What own code changes in libraries: all that runs in the process afterwards runs with it.

A key tells the code that its own stage reaches. A pruner's module that replaces ``torch.relu`` as
it is imported replaces it for the training before, and for the jobs after, whose keys are silent.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

LIBRARIES = ("torch.nn", "torch.optim", "torch.autograd", "torch.utils.data", "sanity")
"""Packages whose functions and classes are looked at with all below them; of torch, the top too."""

BELOW = tuple(f"{one}." for one in LIBRARIES)

_changes: set[tuple[str, str]] = set()  # what was changed, and the module that did


@contextmanager
def watched(module: str) -> Iterator[None]:
    """Remember what is changed meanwhile, as the doing of ``module``."""
    before, known = _state(), set(_changes)
    try:
        yield
    finally:
        told = {name for name, _ in set(_changes) - known}  # by a module that this one has imported
        _changes.update((name, module) for name in _changed(before, _state()) - told)


def changes(known: Iterable[str]) -> list[str]:
    """What was changed so far, by whom, in words; the modules ``known`` are told by keys."""
    told = set(known)
    return [
        f"runs with {name} as {module} has changed it for the whole process"
        for name, module in sorted(set(_changes))
        if module not in told
    ]


def _changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """What is another one now, and methods that a class has got or lost.

    What PyTorch puts in the place of its own, as it does when its compiler is imported, is no
    change of the user's: it was made just now, by a module of PyTorch's.
    """
    there = {id(value) for value in before.values()}
    others = {
        name
        for name in before.keys() & after.keys()
        if before[name] is not after[name] and before[name] != after[name]
        if id(after[name]) in there or name.endswith("()") or not _is_of_torch(after[name])
    }
    members = {
        name
        for name in before.keys() ^ after.keys()
        if isinstance(before.get(_owner(name)), type)
        and before[_owner(name)] is after.get(_owner(name))
    }
    return others | members


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _is_of_torch(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] == "torch"


def _state() -> dict[str, Any]:
    """What is there now, by its full name: functions and classes, hooks, and global settings."""
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name in ("torch", *LIBRARIES) or name.startswith(BELOW):
            found.update(_members(name, module))
    for name, hooks in list(vars(torch.nn.modules.module).items()):
        if name.startswith("_global_"):  # functions that torch calls around every module
            found[f"torch.nn.modules.module.{name}"] = repr(hooks)
    for name in ("get_default_dtype", "get_default_device", "get_float32_matmul_precision"):
        found[f"torch.{name}()"] = getattr(torch, name)()
    return found


def _members(name: str, module: ModuleType) -> Iterator[tuple[str, Any]]:
    for key, value in list(vars(module).items()):
        if callable(value):
            yield f"{name}.{key}", value
        if isinstance(value, type) and value.__module__ == name:
            yield from _functions(f"{name}.{key}", value)


def _functions(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    for key, value in list(vars(kind).items()):
        if callable(value) or isinstance(value, property | staticmethod | classmethod):
            yield f"{name}.{key}", value
