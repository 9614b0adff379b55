"""The import of modules outside installed distributions: from known source, with what they read."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sanity.identity import patches, sources
from sanity.identity.reads import Reads, has_read, watched

_reads: dict[str, Reads] = {}


def reads_of(name: str) -> Reads:
    """What the module ``name`` read while it was imported, whoever was the first to ask for it."""
    return _reads.get(name, Reads())


@contextmanager
def building() -> Iterator[Reads]:
    """Collect what this thread reads to build a component.

    Caches of own functions that have read files are emptied: what one component has read, the
    next one reads again.
    """
    for cached in _caches():
        cached.cache_clear()
    with watched() as found:
        yield found


def _caches() -> Iterator[Any]:
    """The cached functions and methods of own modules."""
    for name in sources.imported() & sys.modules.keys():
        members = list(vars(sys.modules[name]).values())
        for kind in [one for one in members if isinstance(one, type)]:
            members += vars(kind).values()
        for one in members:
            function = getattr(one, "__func__", one)  # of static methods
            wrapped = getattr(function, "__wrapped__", None)
            if hasattr(type(function), "cache_clear") and has_read(
                getattr(wrapped, "__code__", None)
            ):
                yield function


class _Loader(SourceFileLoader):
    """Compiles a module from the source that its users are identified by."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(sources.begin(fullname, Path(path)), path)

    def exec_module(self, module: ModuleType) -> None:
        """Run it, and remember what it reads and changes."""
        with watched() as found, patches.watched(module.__name__):
            super().exec_module(module)
        _reads[module.__name__] = found


class _Finder(MetaPathFinder):
    """What Python's own finder finds, loaded by :class:`_Loader` where it is no distribution's."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python's own answer, with another loader for own modules."""
        spec = PathFinder.find_spec(fullname, path, target)
        loader = spec.loader if spec else None
        if spec and type(loader) is SourceFileLoader and sources.is_own(loader.path):
            spec.loader = _Loader(fullname, loader.path)
        return spec


def install() -> None:
    """Load own modules in this way from now on."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    finders: list[Any] = sys.meta_path
    index = finders.index(PathFinder) if PathFinder in finders else len(finders)
    finders.insert(index, _Finder())
