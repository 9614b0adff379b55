"""What an option is to stored results: its name, its version, and which settings change nothing."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


class Option:
    """Base of all that a group of the configuration can choose; each states its own facts.

    ``version`` is raised where the same settings come to give other results: what was stored by
    the old ones stays on disk, but is no longer taken for the new ones'. ``neutral`` has settings
    that were added later, with the value that changes nothing: with it they enter no key, so that
    results stored before are found. ``cites`` are the keys of its sources in the bibliography of
    reports; they enter no key of results.
    """

    version: ClassVar[int] = 1
    neutral: ClassVar[Mapping[str, Any]] = {}
    cites: ClassVar[tuple[str, ...]] = ()


def name_of(kind: Any) -> str:
    """The name that a class or function of this package is chosen by, which is its module's."""
    return kind.__module__.rsplit(".", 1)[-1].rstrip("_")


@functools.cache
def options(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """The options of a group by name: the classes of its ``package``, a module each."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{module.name}"
        for member in vars(importlib.import_module(name)).values():
            own = inspect.isclass(member) and member.__module__ == name
            if own and module.name != "base" and issubclass(member, base):
                found[name_of(member)] = member
    return found


def identity(kind: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a class or function with these ``settings`` is in keys; own code is told beside."""
    is_ours = kind.__module__.split(".")[0] == "sanity"
    is_option = inspect.isclass(kind) and issubclass(kind, Option)
    version, neutral = (kind.version, kind.neutral) if is_option else (1, {})
    return {
        "option": name_of(kind) if is_ours else f"{kind.__module__}.{kind.__qualname__}",
        "version": version,
        "settings": {
            name: value
            for name, value in settings.items()
            if name != "_target_" and not (name in neutral and _same(value, neutral[name]))
        },
    }


def _same(value: Any, other: Any) -> bool:
    """Equal, and not by a switch being a number."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
