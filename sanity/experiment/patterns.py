"""Files that come one a seed: ``{seed}`` in the settings that name them is the run's seed.

The pattern is what the record keeps, so that a report sees seeds of one arm in runs that read
different files. Nothing else in a path means anything, least of all its digits.
"""

import re
from contextlib import suppress
from pathlib import Path
from string import Formatter
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sanity.core.config import absolute
from sanity.core.errors import ConfigError

SEED = "seed"
SETTINGS = ("pruner.path", "arch.init_from", "ratio.sparsity", "ratio.settings.path")
"""The settings that may be patterns."""

_TYPED = re.compile(rf"\+{{0,2}}({'|'.join(map(re.escape, SETTINGS))})=(?!.*['\"])", re.DOTALL)
_BRACE = re.compile(r"(?<!\\)[{}]")


def filled(setting: str, pattern: str, seed: int) -> str:
    """The path that ``pattern``, the ``setting``, stands for; ConfigError for other braces."""
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError:
        raise ConfigError(f"{setting}={pattern}: {_rule('a single brace')}") from None
    for _, field, form, conversion in parts:
        if field is not None and (field != SEED or form or conversion):
            shown = field + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ConfigError(f"{setting}={pattern}: {_rule(f'{{{shown}}}')}")
    return "".join(text + ("" if field is None else str(seed)) for text, field, *_ in parts)


def unify(cfg: DictConfig) -> None:
    """Write patterns in one way: OmegaConf's ``${seed}`` leaves no trace once it is resolved."""
    for setting in SETTINGS:
        group, _, name = setting.rpartition(".")
        values = OmegaConf.select(cfg, group)
        known = isinstance(values, DictConfig) and name in values
        if known and OmegaConf.is_interpolation(values, name):
            raw: Any = OmegaConf.to_container(values, resolve=False)
            text = str(raw[name]).replace(f"${{{SEED}}}", f"{{{SEED}}}")
            if "${" not in text:
                values[name] = text


def existing(setting: str, pattern: Any, seed: int) -> Path | None:
    """The file that ``pattern`` stands for, None for none; raises ConfigError where it is none."""
    if not isinstance(pattern, str | None):
        raise ConfigError(f"{setting}={pattern}: must be a file's path or null")
    if pattern is None:
        return None
    name = filled(setting, pattern, seed)
    path = absolute(setting, name)
    with suppress(OSError):  # of a name that is too long for one
        if path.is_file():
            return path
    raise ConfigError(f"{setting}={name}: no such file")


def escaped(override: str) -> str:
    """An override with a pattern's braces escaped, which Hydra would take for those of a map."""
    is_pattern = _TYPED.match(override) and "${" not in override
    return _BRACE.sub(r"\\\g<0>", override) if is_pattern else override


def _rule(what: str) -> str:
    return (
        f"{what} means nothing in it; {{{SEED}}} stands for the run's seed, and doubled braces, "
        "{{ and }}, for themselves"
    )
