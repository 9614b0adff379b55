"""The option files that a configuration is composed of, where a user's own are among them.

Hydra takes the first file of a name, merges files in the order of defaults lists, and passes over
a header that it does not know: all of it without a word. Imports no torch.
"""

import codecs
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError

HEADER = "# @package _global_"
VALID = re.compile(r"\s*#\s*@package +_global_\s*")  # to Hydra

Key = tuple[str, ...]
"""A setting's place: ``("training", "lr")``. Keys of a grid contain dots themselves."""


@dataclass(frozen=True)
class OptionFile:
    """A file of a defaults list: ``option`` is its name to Hydra, such as ``pruner/snip``.

    Its settings land below ``package``. ``own``: it is none of this project's. ``hidden`` is an own
    file of the same name, which Hydra does not read.
    """

    option: str
    path: Path
    package: Key
    own: bool
    hidden: Path | None = None

    @property
    def group(self) -> str:
        """The group that it is an option of; empty for a primary configuration."""
        return self.option.rpartition("/")[0]

    @cached_property
    def raw(self) -> dict[str, Any]:
        """What stands in it, unresolved."""
        content = OmegaConf.to_container(OmegaConf.load(self.path), resolve=False)
        known = content if isinstance(content, dict) else {}
        return {str(name): value for name, value in known.items()}

    @property
    def content(self) -> dict[str, Any]:
        """The same without its defaults list."""
        return {name: value for name, value in self.raw.items() if name != "defaults"}

    @cached_property
    def settings(self) -> dict[Key, Any]:
        """Every value in it, by its place in the configuration."""
        return dict(leaves(self.content, self.package)) if self.content else {}


def leaves(values: Any, place: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every value that is no mapping, by its place; an empty mapping is a value too."""
    if not isinstance(values, Mapping) or not values:
        yield place, values
        return
    for name, value in values.items():
        yield from leaves(value, (*place, str(name)))


def composed_from(hydra: DictConfig, loader: ConfigLoader) -> tuple[OptionFile, ...]:
    """The files of a configuration in the order of merging; none where all are this project's."""
    places = [Path(one.path) for one in hydra.runtime.config_sources if one.schema == "file"]
    if all(map(_is_ours, places)):
        return ()
    name, overrides = hydra.job.config_name, typed_in(hydra)
    found = loader.compute_defaults_list(name, overrides, hydra.mode)
    files = (_file(one.config_path, one.package or "", places) for one in found.defaults)
    return tuple(file for file in files if file is not None)


def typed_in(hydra: DictConfig) -> list[str]:
    """The overrides of a command, as they were typed."""
    given: Any = OmegaConf.to_container(hydra.overrides, resolve=False)
    return [str(text) for text in (*given["hydra"], *given["task"])]


def _file(option: str, package: str, places: Sequence[Path]) -> OptionFile | None:
    """The file of an option; None where it comes from a package or a schema."""
    name = f"{option.removesuffix('.yaml')}.yaml"
    holding = [place for place in places if (place / name).is_file()]
    if not holding:
        return None
    path, own = holding[0] / name, not _is_ours(holding[0])
    content = path.read_bytes()
    others = [] if own else [place / name for place in holding[1:]]
    hidden = next((other for other in others if other.read_bytes() != content), None)
    return OptionFile(option, path, tuple(filter(None, package.split("."))), own, hidden)


def _is_ours(place: Path) -> bool:
    return place.resolve() == (PROJECT / "conf").resolve()


def setting_file(files: Sequence[OptionFile], key: Key) -> OptionFile | None:
    """The own file that sets ``key``, or something below it: the last one, which counts."""
    for file in reversed(files):
        if file.own and any(place[: len(key)] == key for place in file.settings):
            return file
    return None


def refuse_hidden(files: Sequence[OptionFile]) -> None:
    """Raise ConfigError where an own file is passed over for one of this project's."""
    for file in files:
        if file.hidden is None:
            continue
        choice = (
            "=".join(file.option.rsplit("/", 1)) if file.group else f"--config-name {file.option}"
        )
        raise ConfigError(
            f"{choice}: {file.hidden} is not read, because an option of this project bears the "
            "same name; give yours another"
        )


def overruled(
    files: Sequence[OptionFile], values: Mapping[str, Any]
) -> Iterator[tuple[OptionFile, Key, OptionFile]]:
    """Settings of own files that have no effect, and this project's file that sets them later.

    ``values`` are those of the composed configuration, unresolved. What is typed, and what another
    own file says, is the user's word.
    """
    for number, file in enumerate(files):
        for key, value in file.settings.items() if file.own else ():
            later = [one for one in files[number + 1 :] if _sets(one, key)]
            if later and not later[-1].own and select(values, key) != value:
                yield file, key, later[-1]


def _sets(file: OptionFile, key: Key) -> bool:
    return any(place == key[: len(place)] or key == place[: len(key)] for place in file.settings)


def select(values: Any, key: Key) -> Any:
    """The value at ``key``, or None."""
    for name in key:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def header_problem(path: Path) -> str:
    """What is wrong with the first line of a file that should begin with ``HEADER``."""
    data = path.read_bytes()
    lines = data.decode("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        alike = difflib.SequenceMatcher(None, line.strip().lower(), HEADER).ratio()
        if VALID.fullmatch(line) and number == 1 and data.startswith(codecs.BOM_UTF8):
            return f"has a byte order mark before '{HEADER}'; save it as UTF-8 without one"
        if VALID.fullmatch(line):
            return f"has '{HEADER}' in line {number}; it must be the first line"
        if line.lstrip().startswith("#") and alike > 0.7:
            return f"has '{line.strip()}' in line {number}; it must be '{HEADER}', the first line"
    return f"lacks '{HEADER}' as its first line"
