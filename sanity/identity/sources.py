"""The source of modules outside installed distributions, as they are loaded.

What a result is stored under must be the code that computed it. So a process reads such a module's
file once: whoever comes first, the import or a look at what a component reaches, decides what the
other one gets, whatever an editor writes into the file meanwhile. Bytecode caches are left out:
they tell an edit by the file's second and size, which the flip of a sign does not change.
"""

import os
import site
import sys
import sysconfig
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError

PACKAGES = {"site-packages", "dist-packages"}  # of other environments, too

_sources: dict[str, bytes] = {}  # by real path
_loaded: dict[str, tuple[str, int]] = {}  # real path -> module's name, and the thread that asked
_lock = threading.Lock()


@dataclass(frozen=True)
class Located:
    """Where a module outside installed distributions lies."""

    name: str
    path: Path
    is_package: bool


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """The directories of the standard library, of installed distributions and of this package."""
    named = sysconfig.get_paths()
    places = [named[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    places += [str(PROJECT / "sanity"), str(PROJECT / "sweeps" / "hydra_plugins")]
    return tuple(os.path.realpath(place) + os.sep for place in places)


@cache
def is_own(path: str) -> bool:
    """Whether the file ``path`` belongs to no installed distribution, and not to this package."""
    real = os.path.realpath(path)
    parts = set(Path(real).parts)
    return not real.startswith(_installed()) and parts.isdisjoint(PACKAGES)


def source(path: Path) -> bytes:
    """The source of a module as this process has it, or will have when it imports it."""
    key = os.path.realpath(path)
    with _lock:
        if key not in _sources:
            _sources[key] = path.read_bytes()
        return _sources[key]


def begin(name: str, path: Path) -> bytes:
    """The source of a module that this thread imports now; one imported anew is read anew."""
    real = os.path.realpath(path)
    if real in _loaded:
        with _lock:
            _sources.pop(real, None)
    _loaded[real] = (name, threading.get_ident())
    return source(path)


def is_known(path: Path) -> bool:
    """Whether a file has been read as a module's source."""
    return os.path.realpath(path) in _sources


def loaded() -> set[str]:
    """The names of own modules that this thread has imported by :mod:`loading`."""
    me = threading.get_ident()
    return {name for name, thread in list(_loaded.values()) if thread == me}


def imported() -> set[str]:
    """The names of own modules that the process has imported by :mod:`loading`."""
    return {name for name, _ in list(_loaded.values())}


def locate(name: str) -> Located | None:
    """Where the module ``name`` lies, imported or not; None unless it is outside distributions."""
    spec = _spec(name)
    if spec is None:  # a script, if anything
        path = getattr(sys.modules.get(name), "__file__", None)
        return Located(name, Path(path), False) if path and is_own(path) else None
    if not spec.origin or not spec.has_location or not is_own(spec.origin):
        return None
    return Located(name, Path(spec.origin), spec.submodule_search_locations is not None)


def is_namespace(name: str) -> bool:
    """Whether ``name`` is a folder of modules without a file of its own."""
    spec = _spec(name)
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def _spec(name: str) -> ModuleSpec | None:
    """What describes a module, found without importing it or the packages around it."""
    spec: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if spec is not None:
        return spec
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        above = _spec(parent)
        path = above.submodule_search_locations if above else None
        if path is None:
            return None
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except (ImportError, AttributeError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


def unreadable(kind: Callable[..., Any]) -> ConfigError:
    """The error of a class or function that cannot be told from an edited one."""
    return ConfigError(
        f"{kind.__module__}: its source cannot be read, by which results of edited code are "
        "told apart; give it as a .py file"
    )


def refuse_stale(module: ModuleType, path: Path) -> None:
    """Raise ConfigError for a module that was edited after it was imported, as far as that shows.

    Of modules imported before the import hook of ``loading``, it is not known what was loaded.
    """
    if type(getattr(module.__spec__, "loader", None)) is not SourceFileLoader:
        return
    compiled = {*_codes(compile(source(path), str(path), "exec"))}
    for name, found in list(vars(module).items()):
        if getattr(found, "__module__", None) != module.__name__:
            continue
        for member in list(vars(found).values()) if isinstance(found, type) else [found]:
            code = getattr(member, "__code__", None)
            if code and code.co_filename == str(path) and _content(code) not in compiled:
                raise ConfigError(
                    f"{module.__name__}.{name}: {path} was edited after it had been imported; "
                    "start Python anew, or reload the module"
                )


def _codes(code: CodeType) -> Iterator[Hashable]:
    """What a compiled module and all functions in it do."""
    yield _content(code)
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _content(code: CodeType) -> Hashable:
    """What a function does, wherever in its file it stands."""
    values = tuple(repr(one) for one in code.co_consts if not isinstance(one, CodeType))
    return code.co_qualname, code.co_code, code.co_names, code.co_varnames, values
