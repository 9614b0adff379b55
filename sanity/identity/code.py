"""What decides a component's behaviour, as keys name it: settings, code, and files that are read.

Researchers edit their own pruners: a result of yesterday's code must not pass for today's. Code of
installed distributions is told by their versions in the record, code of this package by the
versions of its options (``core/option.py``).
"""

import functools
import hashlib
import inspect
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanity.core.config import typed_from
from sanity.core.errors import ChangedError
from sanity.core.files import expanded, sha256
from sanity.identity import loading, patches, reach, sources
from sanity.identity.reads import Reads
from sanity.identity.sources import Located
from sanity.identity.statements import ENVIRONMENT

log = logging.getLogger(__name__)

Values = dict[str, Any]
_is_file = os.path.isfile  # which may be asked of texts that are no paths, too

OPAQUE = {
    *("safe_open", "load_file", "load_model", "from_pretrained", "hf_hub_download"),
    *("snapshot_download", "load_state_dict_from_url", "download_url_to_file", "hub", "h5py"),
    *("urlopen", "urlretrieve", "requests", "netcdf_file"),
}
"""Names of what reads files or the network by itself, so that nobody sees what it reads."""


@dataclass(frozen=True)
class Code:
    """What components of a user's own consist of: ``modules``, and ``files`` with their digests."""

    modules: Mapping[str, Located] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)

    def __or__(self, other: "Code") -> "Code":
        return Code({**self.modules, **other.modules}, {**self.files, **other.files})

    def refuse_unknown(self, before: set[str]) -> None:
        """Raise ChangedError for own modules imported since ``before`` that this does not have."""
        more = sorted(sources.loaded() - before - self.modules.keys())
        if more:
            raise ChangedError(
                f"{more[0]}: was imported while the result was computed, and nothing had said that "
                "it would be, so that edits of it would not be noticed: import it at the top of "
                "the module that uses it"
            )

    def refuse_change(self, before: set[str], reads: Reads) -> None:
        """Raise ChangedError where what has run is no longer, or more than, what this says.

        ``before`` are the modules that had been imported before it ran, ``reads`` what it opened:
        what it has written itself, such as a log, has not changed under its feet.
        """
        for path, known in self.files.items():
            if path not in reads.written and _digest(path) != known:
                raise ChangedError(
                    f"{path}: has changed since the run was started, and the result is not what it "
                    "would be stored as: start it again"
                )
        self.refuse_unknown(before)


def code_of(
    values: Values, kind: Callable[..., Any], reads: Reads | None = None
) -> tuple[Values, Code]:
    """What decides the behaviour of ``kind`` besides ``values``, for keys; and its code.

    ``reads`` is what was read while it was built. Components of this package decide by their
    settings alone. Raises ConfigError where the source cannot be read.
    """
    files = [(f"setting {name}", path) for name, path in _named(values)]
    module = kind.__module__
    target = str(values.get("_target_", f"{module}.{kind.__qualname__}"))
    # By what it is called: an own module may name a class of others, and have changed it.
    is_own = any(sources.locate(one) for one in (module, target.rpartition(".")[0]))
    if module.split(".")[0] == "sanity" and not is_own:  # which names its files by itself
        return {}, Code(files={path: _digest(path) for _, path in files})
    modules: Mapping[str, Located] = {}
    opaque: frozenset[str] = frozenset()
    if not is_own:
        digest = _installed(kind)
    else:
        digest, texts, names, modules = _reached(kind, target)
        if ENVIRONMENT in names:
            _tell(module, "looks at variables of the environment")
        opaque = names - {ENVIRONMENT}
        if opaque:  # what is read by others is seen
            files += [(f"text {text}", path) for text, path in texts if _is_file(path)]
    # A module is imported once: what it reads then counts for all that reach it, in any order.
    seen = [*([] if reads is None else [reads]), *map(loading.reads_of, modules)]
    if opaque and not files and not any(one.files for one in seen):
        _tell(module, f"uses {', '.join(sorted(opaque))}")
    for one in seen:
        files += [("read", path) for path in sorted(one.files)]
        for what in sorted(one.elsewhere):
            _tell(module, what)
    code = Code(modules, {path: _digest(path) for _, path in files})
    digests: dict[str, set[str]] = {}
    for name, path in files:
        digests.setdefault(name, set()).add(code.files[path])
    contents = {name: sorted(found) for name, found in sorted(digests.items())}
    return {"source": digest} | ({"files": contents} if contents else {}), code


def unknown_to_keys(reads: Reads, code: Code, known: Iterable[Path]) -> list[str]:
    """What a computation has looked at that is in no key, ``known`` directories apart.

    Only own code is asked about: what this package reads enters keys.
    """
    if not code.modules:
        return []
    files = [
        f"reads {path}"
        for path in sorted(reads.files - code.files.keys())
        if not any(path.is_relative_to(place) for place in known)
    ]
    return [*files, *sorted(reads.elsewhere)]


def changes_unknown_to_keys(code: Code) -> list[str]:
    """What own modules have changed in libraries, other modules than those of ``code``."""
    return patches.changes(code.modules)


def tell_unknown(stage: str, found: Iterable[str]) -> None:
    """Say once what a stage's result depends on, or did when it was computed, that no key tells."""
    for what in found:
        _tell(stage, what)


@functools.cache
def _tell(subject: str, what: str) -> None:
    log.warning(
        "%s %s: results do not tell what it finds there; give it as a setting, which is part of "
        "keys (of a file, its contents)",
        subject,
        what,
    )


@functools.lru_cache(maxsize=256)
def _reached(
    kind: Callable[..., Any], target: str
) -> tuple[str, tuple[tuple[str, Path], ...], frozenset[str], Mapping[str, Located]]:
    """The digest of what a class reaches, texts that may name files, what it reads by, modules."""
    found = reach.of(kind, target)
    named = tuple(
        (text, path)
        for text, places in sorted(found.constants.items())
        for path in _places(text, places)
    )
    return found.digest(), named, frozenset(found.names & {*OPAQUE, ENVIRONMENT}), found.modules


def _places(text: str, beside: Iterable[Path]) -> list[Path]:
    """The paths that a text in a module may mean: from where one works, and beside the module."""
    looks_like_one = 2 < len(text) < 512 and text.isprintable() and ("." in text or "/" in text)
    if not looks_like_one or text.endswith((".py", "/", ".")):
        return []
    path = expanded(text)
    return [place / path for place in (typed_from(), *sorted(beside))]


def _named(values: Any, name: str = "") -> Iterator[tuple[str, Path]]:
    """The settings, at any depth, that name a file which is there."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _named(value, f"{name}.{key}".lstrip("."))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from _named(value, f"{name}[{index}]")
    elif isinstance(values, str) and values and _is_file(path := typed_from() / expanded(values)):
        yield name, path


def _digest(path: Path) -> str:
    """A file's contents, read again where it looks changed; what cannot be read has none."""
    try:
        state = path.stat()
        return _contents(path, state.st_mtime_ns, state.st_size, state.st_ino)
    except OSError:
        return ""


@functools.lru_cache(maxsize=4096)
def _contents(path: Path, *_: int) -> str:
    return sha256(path)


def _installed(kind: Callable[..., Any]) -> str:
    """The source of an installed module, since its distribution's version is in no key."""
    try:
        source = inspect.getsource(inspect.getmodule(kind) or kind)
    except (OSError, TypeError):
        raise sources.unreadable(kind) from None
    return hashlib.sha256(source.encode()).hexdigest()
