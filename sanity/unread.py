"""Every setting is one that somebody reads; of any other a run says so before it starts.

Groups are read by their classes, which refuse what they do not know (``components.conformed``).
This is about the rest: keys beside them, settings of sweeps in single runs and the other way round,
and what stands in a user's own files without effect. Imports no torch.
"""

import dataclasses
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from sanity import option_files
from sanity.config import Settings, unknown_setting
from sanity.errors import ConfigError
from sanity.option_files import Key, OptionFile, leaves, select
from sanity.variables import refuse_misspelled

log = logging.getLogger(__name__)

GROUPS = ("training", "ratio", "rewind", "arch", "dataset", "pruner", "sanity_check", "tracker")
"""Groups with settings of their own name, each read by the class that it names."""
OF_RUNS = ("name", "plan")
OF_SWEEPS = ("title", "grid", "controls")
"""The settings ``sweep.*``: those of every command, and those that a sweep alone reads."""
TOP = (*(field.name for field in fields(Settings)), *GROUPS, "sweep", "verdict")

ONLY_SWEEPS = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep")
ONLY_RUNS = ("hydra.run",)

INTERPOLATION = re.compile(r"\$\{([^}]*)")
REFERENCE = re.compile(r"\.*[^\W\d][\w-]*(?:[.\[][\w-]+\]?)*")


@dataclass(frozen=True)
class Composition:
    """A configuration as it was composed: ``values`` are unresolved, ``hydra`` its own node.

    ``typed`` are the overrides of a command line, ``files`` the option files where any is a user's
    own. ``swept``: it is that of a sweep as a whole, not of one of its runs.
    """

    values: Mapping[str, Any]
    hydra: DictConfig | None = None
    typed: Sequence[str] = ()
    files: Sequence[OptionFile] = ()
    swept: bool = False


def composition(
    cfg: DictConfig, hydra: DictConfig, files: Sequence[OptionFile], *, swept: bool
) -> Composition:
    """That of a configuration which Hydra has composed."""
    values = _plain(cfg) | {"hydra": OmegaConf.to_container(hydra, resolve=False)}
    return Composition(values, hydra, option_files.typed_in(hydra), files, swept)


def composition_of_run(cfg: DictConfig) -> Composition:
    """That of the run under way: from Hydra where it has composed ``cfg``, or a library's."""
    if not HydraConfig.initialized():
        return Composition(_plain(cfg))
    hydra, known = HydraConfig.instance().cfg.hydra, GlobalHydra.instance()  # type: ignore[union-attr]
    loader = known.config_loader() if known.is_initialized() else None
    files = option_files.composed_from(hydra, loader) if loader is not None else ()
    return composition(cfg, hydra, files, swept=False)


def _plain(cfg: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def refuse_unread(found: Composition, mentions: Collection[str] = ()) -> None:
    """Raise ConfigError for the first setting that nobody reads; warn of what is overruled.

    A setting is read as well where another one refers to it (``${my.lr}``), or one of the texts
    ``mentions``, which are the settings of a whole sweep.
    """
    refuse_misspelled(os.environ)
    option_files.refuse_hidden(found.files)
    for group in GROUPS:
        _refuse_option_as_value(found, group)
    for key in unread(found, mentions):
        raise ConfigError(_explained(found, key))
    _refuse_other_mode(found)
    _tell_idle_files(found)
    if found.swept or found.hydra is None or found.hydra.mode != RunMode.MULTIRUN:
        _tell_repeated(found.typed)


@contextmanager
def locating(found: Composition) -> Iterator[None]:
    """What is said against a setting (``a.b=1: ...``) names the own file that it comes from."""
    try:
        yield
    except ConfigError as error:
        name = re.match(r"([\w.]+)[:=]", str(error))
        key = tuple(name[1].split(".")) if name else ()
        file = option_files.setting_file(found.files, key)
        if file is None or key not in file.settings or _is_typed(found, key):
            raise
        raise type(error)(f"{error} (set in {file.path})") from error


def unread(found: Composition, mentions: Collection[str] = ()) -> Iterator[Key]:
    """The places of settings that no part of the program reads and no other setting refers to."""
    pending = dict(_unclaimed(found))
    texts = [(key, value) for key, value in _texts(found.values) if key not in pending]
    texts += [((), text) for text in mentions]
    while texts:  # a helper that is referred to may itself refer to others
        referred = {reference for key, text in texts for reference in references(text, key)}
        read = [key for key in pending if any(_overlap(key, one) for one in referred)]
        values = {key: pending.pop(key) for key in read}
        texts = [
            (key, text) for place, value in values.items() for key, text in _texts(value, place)
        ]
    yield from pending


def references(text: str, key: Key) -> Iterator[Key]:
    """The places that the interpolations in ``text``, the setting ``key``, may refer to."""
    for inside in INTERPOLATION.findall(text):
        for match in REFERENCE.findall(inside.replace("hydra:", "hydra.")):
            name = match.lstrip(".")
            dots = len(match) - len(name)  # relative ones begin at the setting's own parent
            base = key[: max(len(key) - dots, 0)] if dots else ()
            yield (*base, *re.findall(r"[\w-]+", name))


def _overlap(key: Key, other: Key) -> bool:
    shorter = min(len(key), len(other))
    return key[:shorter] == other[:shorter]


def _texts(values: Any, place: Key = ()) -> Iterator[tuple[Key, str]]:
    """The texts with interpolations in ``values``, at any depth."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _texts(value, (*place, str(name)))
    elif isinstance(values, list):
        for value in values:
            yield from _texts(value, place)
    elif isinstance(values, str) and "${" in values:
        yield place, values


def _unclaimed(found: Composition) -> Iterator[tuple[Key, Any]]:
    """Every value that is no setting, beside Hydra's own and those within groups."""
    for name, value in found.values.items():
        if name == "hydra":
            continue
        if name not in TOP:
            yield from ((key, one) for key, one in leaves(value, (name,)) if one != {})
        elif name == "sweep" and isinstance(value, Mapping):
            for inner, one in value.items():
                if inner not in (*OF_RUNS, *OF_SWEEPS):
                    yield from leaves(one, (name, str(inner)))
        elif name in GROUPS and option_files.setting_file(found.files, (name, name)) is not None:
            yield from leaves(value[name], (name, name))  # of a file that lacks its header
    yield from _added_to_hydra(found.hydra, ("hydra",))


def _added_to_hydra(node: Any, place: Key) -> Iterator[tuple[Key, Any]]:
    """What was added to Hydra's own settings, whose names it knows."""
    kind = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
    if kind is None or not dataclasses.is_dataclass(kind):
        return
    known = _hydra_names(node)
    for name in map(str, node):
        if name not in known:
            yield (*place, name), None
        elif not (OmegaConf.is_interpolation(node, name) or OmegaConf.is_missing(node, name)):
            yield from _added_to_hydra(node[name], (*place, name))


def _hydra_names(node: DictConfig) -> set[str]:
    """The settings of one of Hydra's nodes, and at its top those of its groups."""
    kind = OmegaConf.get_type(node)
    groups = node.runtime.choices if kind is HydraConf else ()
    return {field.name for field in fields(kind)} | {
        str(group).removeprefix("hydra/") for group in groups if str(group).startswith("hydra/")
    }


def _explained(found: Composition, key: Key) -> str:
    """One line: where the setting stands, and what was probably meant."""
    file = option_files.setting_file(found.files, key)
    if file is None:
        return _unknown(found, key, typed=True)
    name, within = ".".join(key), key[len(file.package) :]
    if file.package and (within[0] in (*TOP, "hydra") or key[0] not in TOP):
        problem = option_files.header_problem(file.path)
        return f"{file.path}: {problem}, or nobody reads its {'.'.join(within)} (it is {name} now)"
    if file.group in GROUPS and not file.package and file.group not in file.content:
        return (
            f"{file.path}: '{option_files.HEADER}' puts its settings beside the groups, where "
            f"nobody reads {name}; leave that line out, or put them below '{file.group}:'"
        )
    return f"{_unknown(found, key, typed=False)} (set in {file.path})"


def _unknown(found: Composition, key: Key, *, typed: bool) -> str:
    """The line for a key that is not known, with the one like it."""
    if key[0] == "hydra":
        node = OmegaConf.select(found.hydra, ".".join(key[1:-1])) if key[1:-1] else found.hydra
        return unknown_setting(".".join(key[:-1]), key[-1], _hydra_names(node))
    if key[0] == "sweep":
        return unknown_setting("sweep", key[1], (*OF_RUNS, *OF_SWEEPS))
    inside = [f"{name}.{key[0]}" for name in TOP if _has(found.values.get(name), key[0])]
    if inside:
        return f"{key[0]}: no such setting (did you mean {inside[0]}?)"
    return unknown_setting("", key[0], TOP if typed else (*TOP, "defaults", "hydra"))


def _has(values: Any, name: str) -> bool:
    return isinstance(values, Mapping) and name in values


def _refuse_option_as_value(found: Composition, group: str) -> None:
    """``pruner: snip`` in a file replaces the group's settings by a text, and chooses nothing."""
    value = found.values.get(group)
    file = option_files.setting_file(found.files, (group,))
    if isinstance(value, str) and file is not None:
        raise ConfigError(
            f"{file.path}: '{group}: {value}' chooses no option; that is done in its defaults "
            f"list, by '- override /{group}: {value}'"
        )


def _refuse_other_mode(found: Composition) -> None:
    """Raise ConfigError for what a single run does not read, or what a sweep does not."""
    if found.swept:
        for text in found.typed:
            if _key(text).startswith(ONLY_RUNS):
                raise ConfigError(f"{text}: is of single runs; a sweep's is hydra.sweep.dir")
        return
    given = [name for name in OF_SWEEPS if select(found.values, ("sweep", name)) is not None]
    if given:
        raise ConfigError(_unread_grid(found, given[-1]))
    if found.hydra is None or found.hydra.mode == RunMode.MULTIRUN:
        return
    for text in found.typed:
        if _key(text).startswith(ONLY_SWEEPS):
            raise ConfigError(f"{text}: is of sweeps, and this is a single run; add -m for a sweep")


def _unread_grid(found: Composition, name: str) -> str:
    """Why nobody reads the grid of a sweep that was asked for."""
    hydra, file = found.hydra, option_files.setting_file(found.files, ("sweep", name))
    chosen = hydra.runtime.choices.get("sweep") if hydra is not None else None
    asked = f"sweep={chosen}" if chosen else f"sweep.{name}"
    if hydra is None:
        return f"{asked}: is for sweeps, and this is a single run"
    if hydra.mode == RunMode.MULTIRUN:
        sweeper = hydra.runtime.choices.get("hydra/sweeper")
        return f"{asked}: only hydra/sweeper=sanity reads its grid, not hydra/sweeper={sweeper}"
    if file is None or ("hydra", "mode") in file.settings:  # as the project's own files have it
        return f"{asked}: asks for a sweep, hydra.mode=RUN for a single run; leave one of them out"
    return (
        f"{asked}: its grid is for a sweep, and this is a single run; add -m, or "
        f"'hydra: {{mode: MULTIRUN}}' to {file.path}"
    )


def _tell_idle_files(found: Composition) -> None:
    """Refuse what an own file sets without effect; warn where a typed choice is the reason."""
    for file in found.files:
        if file.own and not file.raw:
            log.warning("%s: is empty", file.path)
    for file, key, later in option_files.overruled(found.files, found.values):
        value = select(found.values, key)
        said = f"{'.'.join(key)}: set in {file.path} without effect, because {later.option} sets it"
        said += f" to {value} afterwards"
        if _is_typed(found, key):
            continue
        if not any(_key(text) == later.group for text in found.typed):
            raise ConfigError(said)
        log.warning("%s", said)


def _is_typed(found: Composition, key: Key) -> bool:
    """Whether the setting itself is typed, not merely the option of its group."""
    names = (tuple(_key(text).split(".")) for text in found.typed)
    return any(_overlap(name, key) for name in names if len(name) > 1 or name == key)


def _tell_repeated(typed: Sequence[str]) -> None:
    """Warn of settings that are given twice, of which the last counts."""
    last = {_key(text): text for text in typed}
    for text in typed:
        if last[_key(text)] != text:
            log.warning("%s has no effect beside %s", text, last[_key(text)])


def _key(text: str) -> str:
    return text.split("=", 1)[0].lstrip("+~")
