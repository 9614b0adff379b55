"""Every setting is one that somebody reads; of any other a run says so before it starts.

Also settings of sweeps in single runs and the other way round, and what stands in a user's own
files without effect. Imports no torch.
"""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.types import RunMode

from sanity.cli.variables import refuse_misspelled
from sanity.core.config import unknown_setting
from sanity.core.errors import ConfigError
from sanity.experiment import option_files
from sanity.experiment.composition import (
    GROUPS,
    OF_RUNS,
    OF_SWEEPS,
    TOP,
    Composition,
    hydra_names,
    overlap,
    unread_in,
)
from sanity.experiment.option_files import Key, select

log = logging.getLogger(__name__)

ONLY_SWEEPS = (
    *("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep"),
    *("sweep.budget", "sweep.most_seeds"),
)
ONLY_RUNS = ("hydra.run",)


def refuse_unread(found: Composition, mentions: Collection[str] = ()) -> None:
    """Raise ConfigError for the first setting that nobody reads; warn of what is overruled.

    A setting is read as well where another one refers to it (``${my.lr}``), or one of the texts
    ``mentions``, which are the settings of a whole sweep.
    """
    refuse_misspelled(os.environ)
    option_files.refuse_hidden(found.files)
    for group in GROUPS:
        _refuse_option_as_value(found, group)
    for key in unread_in(found, mentions):
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
        node: Any = found.hydra
        for name in key[1:-1]:
            node = node[name]
        return unknown_setting(".".join(key[:-1]), key[-1], hydra_names(node))
    if key[0] == "sweep":
        return unknown_setting("sweep", key[1], (*OF_RUNS, *OF_SWEEPS))
    for name in TOP:
        values = found.values.get(name)
        if isinstance(values, Mapping) and key[0] in values:
            return f"{key[0]}: no such setting (did you mean {name}.{key[0]}?)"
    return unknown_setting("", key[0], TOP if typed else (*TOP, "defaults", "hydra"))


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
        raise ConfigError(_unread_grid(found, given[0]))
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
    return any(overlap(name, key) for name in names if len(name) > 1 or name == key)


def _tell_repeated(typed: Sequence[str]) -> None:
    """Warn of settings that are given twice, of which the last counts."""
    last = {_key(text): text for text in typed}
    for text in typed:
        if last[_key(text)] != text:
            log.warning("%s has no effect beside %s", text, last[_key(text)])


def _key(text: str) -> str:
    return text.split("=", 1)[0].lstrip("+~")
