"""What a component's code reaches outside installed distributions: definition by definition.

The walk is of the source, not of what runs. Where the source does not tell (computed names, ``*``,
modules that are handed around), all that might be meant counts.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from sanity.core.errors import ConfigError
from sanity.core.files import digest
from sanity.identity import sources, statements
from sanity.identity.folders import code_below
from sanity.identity.sources import Located
from sanity.identity.statements import Alias, Chain, Module, Statement

BY_NAME = {"eval", "exec", "globals", "__import__"}
IMPORTS = {"import_module", "__import__", "run_path", "run_module", "exec_module"}
IMPORTS |= {"spec_from_file_location", "iter_modules", "walk_packages", "entry_points"}
IMPORTS |= {"get_method", "get_class", "get_object"}  # of hydra.utils
"""What imports modules whose names are not written down."""

MOST_BESIDE = 2000  # modules of a directory that are looked at where their names are computed


@dataclass
class Reach:
    """Collects what is reached: ``texts`` by module, and the ``constants`` that may name files.

    ``modules`` are the own modules in it by name, ``names`` all names and attributes that are used.
    """

    modules: dict[str, Located] = field(default_factory=dict)
    texts: dict[str, dict[int, str]] = field(default_factory=dict)
    constants: dict[str, set[Path]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    _parsed: dict[str, Module] = field(default_factory=dict)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def digest(self) -> str:
        """The SHA-256 of what is reached, whatever stands around it and wherever it lies."""
        return digest(
            {name: [found[index] for index in sorted(found)] for name, found in self.texts.items()}
        )

    def attribute(self, module: str, chain: Chain) -> None:
        """Reach what ``module.a.b`` stands for, or all of the module where ``chain`` is empty."""
        located = sources.locate(module)
        if located is None:
            if chain and sources.is_namespace(module):
                self.attribute(f"{module}.{chain[0]}", chain[1:])
            return
        parsed = self._load(located)
        if (module, chain) in self._seen:
            return
        self._seen.add((module, chain))
        if not chain:
            self._whole(module)
            return
        name, *rest = chain
        bound = parsed.binding(name)
        for index in bound:
            self._statement(module, index, name, tuple(rest))
        if located.is_package or not bound:
            self.attribute(f"{module}.{name}", tuple(rest))
        if not bound:  # of a module of which everything is imported, or made
            for alias in parsed.stars:
                self._alias(module, alias, chain)
            if parsed.binding("__getattr__"):
                self._whole(module)

    def beside(self, module: str) -> None:
        """Reach every module below the directory from which ``module`` is imported."""
        located = sources.locate(module)
        if located is None:
            return
        depth = module.count(".") + (1 if located.is_package else 0)
        root = located.path.parents[depth]
        if ("beside", root) in self._seen:
            return
        self._seen.add(("beside", root))
        paths = [path for path in code_below(root) if path.suffix == ".py"]
        if len(paths) > MOST_BESIDE:
            raise ConfigError(
                f"{root}: has {len(paths):,} modules, and code that imports modules by computed "
                f"names; {MOST_BESIDE:,} are the most that can be told apart: give it a folder of "
                "its own"
            )
        for path in paths:
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if name and sources.locate(name) is not None:
                self.attribute(name, ())

    def binds(self, module: str, name: str) -> bool:
        """Whether a statement of a module that is reached binds ``name``."""
        return bool(self._parsed[module].binding(name))

    def _load(self, located: Located) -> Module:
        """What happens when a module is imported: its packages are, and its statements run."""
        name = located.name
        if name in self._parsed:
            return self._parsed[name]
        self.modules[name] = located
        self._parsed[name] = parsed = _parse(located)
        self.texts.setdefault(name, {})
        if parent := name.rpartition(".")[0]:
            around = sources.locate(parent)
            if around is not None:
                self._load(around)
        for index, statement in enumerate(parsed.statements):
            if statement.effect:
                self._statement(name, index)
        return parsed

    def _statement(
        self, module: str, index: int, asked: str | None = None, chain: Chain = ()
    ) -> None:
        """Reach a statement, for the name ``asked`` of it: of an import, only what that means."""
        statement = self._parsed[module].statements[index]
        self.texts[module][index] = statement.text
        for alias in statement.imports.get(asked or "", ()):
            self._alias(module, alias, chain)
        if asked in statement.imports and not statement.uses:
            return
        if (module, index) in self._seen:
            return
        self._seen.add((module, index))
        self._uses(module, statement)

    def _uses(self, module: str, statement: Statement) -> None:
        located = self.modules[module]
        for text in statement.texts:
            self.constants.setdefault(text, set()).add(located.path.parent)
        for alias in statement.stars:
            self._alias(module, alias, ())
        for aliases in statement.imports.values():
            for alias in aliases:  # an import of a function's own is run, whatever it is used for
                self._import(module, alias)
        for name, chain in statement.uses:
            self.names |= {name, *chain}
            if (name in BY_NAME and not chain) or (name, chain[:1]) == ("sys", ("modules",)):
                self._whole(module)
            if IMPORTS & {name, *chain[-1:]}:
                self.beside(module)
            for alias in statement.imports.get(name, ()):
                self._alias(module, alias, chain)
            for index in self._parsed[module].binding(name):
                self._statement(module, index, name, chain)

    def _alias(self, module: str, alias: Alias, chain: Chain) -> None:
        """Reach what an imported name stands for, with the attributes asked of it."""
        asked = () if alias.attribute is None else (alias.attribute,)
        self.attribute(_absolute(self.modules[module], alias), (*asked, *chain))

    def _import(self, module: str, alias: Alias) -> None:
        """Reach what an import does by itself."""
        target = _absolute(self.modules[module], alias)
        names = [target] if alias.attribute is None else [target, f"{target}.{alias.attribute}"]
        for name in names:
            located = sources.locate(name)
            if located is not None:
                self._load(located)

    def _whole(self, module: str) -> None:
        """Reach all of a module, with all that it imports."""
        if ("whole", module) in self._seen:
            return
        self._seen.add(("whole", module))
        for index, statement in enumerate(self._parsed[module].statements):
            for name in [*statement.imports, None]:
                self._statement(module, index, name)


def of(kind: Callable[..., Any], target: str) -> Reach:
    """What a class or function, configured as ``target``, reaches.

    Raises ConfigError where it has no source.
    """
    found = Reach()
    module, _, name = target.rpartition(".")
    found.attribute(module, (name,))
    if sources.locate(kind.__module__) is None:
        if not found.modules:
            raise sources.unreadable(kind)
        found.attribute(module, ())  # another's class: what the own module does to it counts
        return found
    name = kind.__qualname__.split(".")[0]
    found.attribute(kind.__module__, (name,))
    if not found.binds(kind.__module__, name):  # it was made, rather than written down
        found.attribute(kind.__module__, ())
    for name, located in found.modules.items():
        if name in sys.modules:
            sources.refuse_stale(sys.modules[name], located.path)
    return found


def _parse(located: Located) -> Module:
    """A module's statements; a compiled one is a single statement."""
    content = sources.source(located.path)
    if not located.path.name.endswith(tuple(EXTENSION_SUFFIXES)):
        try:
            return statements.parse(content)
        except (SyntaxError, ValueError):
            pass  # whoever imports it will say so
    text = hashlib.sha256(content).hexdigest()
    return Module([Statement(text, set(), effect=True)])


def _absolute(located: Located, alias: Alias) -> str:
    """The module that an import names, which may be relative to the one it stands in."""
    if not alias.level:
        return alias.module
    package = located.name if located.is_package else located.name.rpartition(".")[0]
    for _ in range(alias.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{alias.module}" if alias.module else package
