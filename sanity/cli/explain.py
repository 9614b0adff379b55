"""One line for what Hydra, OmegaConf or YAML did not accept, with what was probably meant."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sanity.cli.miswritten import explain_file
from sanity.cli.overrides import quoted, unreadable
from sanity.core.config import PROJECT, unknown_setting
from sanity.core.errors import one_line

OWN = "--config-dir="
GRID_OF_HYDRA = "hydra.sweeper.params"


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """The line for an error of a command with these ``arguments``, arranged for Hydra."""
    if isinstance(error, OverrideParseException):
        return unreadable(error.override)
    if (line := explain_file(error, arguments)) is not None:
        return line
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return _misused(arguments) or f"the configuration cannot be composed: {one_line(error)}"
    key = re.match(r"Could not override '([\w./@-]+)'", str(error))
    if key is None:
        return one_line(error)
    if key[1].startswith(GRID_OF_HYDRA):
        return f"{key[1]}: a grid is not given here; type it, as seed=1,2, or write sweep.grid"
    *parents, name = key[1].split(".")
    known = _known_keys(parents, arguments)
    if name in known:
        return f"{key[1]}: new keys are added one by one, with +{key[1]}.name=value"
    return unknown_setting(".".join(parents), name, known) if known else one_line(error)


def _misused(arguments: Sequence[str]) -> str | None:
    """The line for an argument with which Hydra cannot deal, and says so in its own terms."""
    parser, groups = OverridesParser.create(), _groups()
    for text in arguments:
        if text.startswith("-") or "=" not in text:
            continue
        try:
            override = parser.parse_override(text)
            value = "" if override.is_sweep_override() else override.value()
        except Exception:  # numbers of thousands of digits, lists nested thousands deep
            return unreadable(text)
        if override.key_or_group in groups and not _is_option(value):
            return f"{text}: must be the name of one of its options; see --help"
    return None


def _is_option(value: Any) -> bool:
    """Whether it may stand for an option, or several, or (a map) for a group's settings."""
    names = value if isinstance(value, list) else [value]
    named = all(isinstance(name, str) and "${" not in name for name in names)
    return named or isinstance(value, dict)


def _groups() -> list[str]:
    return [path.name for path in (PROJECT / "conf").iterdir() if path.is_dir()]


def _known_keys(parents: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The keys below ``parents`` in the configuration with the arguments' choices of options."""
    groups = _groups()
    choices = [text for text in arguments if text.split("=")[0] in groups and "," not in text]
    own = [text.removeprefix(OWN) for text in arguments if text.startswith(OWN)]
    if own:
        choices.append(f"hydra.searchpath=[{quoted(f'file://{Path(own[-1]).absolute()}')}]")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            node = OmegaConf.select(compose("config", choices), ".".join(parents) or ".")
    except Exception:  # it is another mistake of the arguments that is to be told
        return []
    return [str(key) for key in node] if isinstance(node, DictConfig) else []
