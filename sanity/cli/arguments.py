"""A command line as Hydra can read it: first its options, wherever they stood, then settings."""

import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from sanity.cli.overrides import readable
from sanity.core.config import absolute
from sanity.core.errors import ConfigError

RERUN = "--experimental-rerun"


def arranged(arguments: Sequence[str]) -> list[str]:
    """Options first, settings behind them: argparse refuses settings on both sides of an option.

    So that ``-m`` can be added wherever one's cursor is. Which options there are, how they may be
    abbreviated, and which of them take a value, is asked of Hydra's own parser. Settings are made
    readable for Hydra. Raises ConfigError for what neither is an option nor can be a setting.
    """
    cut = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    given, rest = parser.parse_known_intermixed_args(list(arguments[:cut]))
    for text in rest:
        advice = f", as {text.lstrip('-')}" if "=" in text else ""
        raise ConfigError(f"{text}: no such option; settings are given without dashes{advice}")
    settings = [readable(text) for text in [*given.overrides, *arguments[cut + 1 :]]]
    if given.config_dir is not None:
        given.config_dir = str(absolute("--config-dir", given.config_dir))
    options = _options(parser, given)
    if given.experimental_rerun is not None:
        _check_rerun(given.experimental_rerun, [*options, *settings])
    dashed = any(text.startswith("-") for text in settings)
    return [*options, *(["--"] if dashed else []), *settings]


def _options(parser: ArgumentParser, given: Namespace) -> list[str]:
    """The options of a command line, each in one argument, with its value."""
    unset = vars(parser.parse_args([]))
    found = []
    for name, value in vars(given).items():
        if name != "overrides" and value != unset[name]:
            flag = f"--{name.replace('_', '-')}"
            found.append(flag if value is True else f"{flag}={value}")
    return found


def _check_rerun(file: str, arguments: Sequence[str]) -> None:
    """Raise ConfigError for a file that is missing, and for what Hydra would ignore beside it."""
    for text in arguments:
        if text != f"{RERUN}={file}":
            raise ConfigError(
                f"{text}: is of no effect beside {RERUN}, which repeats the file's run as it was"
            )
    if not Path(file).is_file():
        raise ConfigError(f"{RERUN}={file}: no such file")
    warnings.filterwarnings("ignore", "Experimental rerun CLI option", UserWarning)


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; see --help")
