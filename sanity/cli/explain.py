"""One line for what Hydra, OmegaConf or YAML did not accept, with what was probably meant.

They raise errors of many kinds, some of which name no file. Imports no torch.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from sanity.cli.overrides import PARSER, quoted, unreadable
from sanity.core.config import PROJECT, unknown_setting
from sanity.core.errors import one_line
from sanity.experiment.option_files import HEADER

BAD_HEADER = re.compile(r"(?:Too many components in|Expected header format: KEY VALUE, got) '(.*)'")
SWEPT = re.compile(r"Sweeping over Hydra's configuration is not supported : '(.*)'")
TWICE = re.compile(
    r"(?:Multiple values for )?(?P<group>\S+?)(?:\. To override| appears more than once in)"
)
NO_OVERRIDE = re.compile(r"In '(?P<file>[^']+)': Could not override '(?P<group>[^@']+)")
NO_OPTION = re.compile(r"In '(?P<file>[^']+)': Could not find '(?P<group>[^']+)/(?P<name>[^/']+)'")
GRID_OF_HYDRA = "hydra.sweeper.params"


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """The line for an error of a command with these ``arguments``, arranged for Hydra."""
    if isinstance(error, OverrideParseException):
        return unreadable(error.override)
    if (line := _of_file(error, arguments)) is not None:
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
    for text in arguments:
        if text.startswith("-") or "=" not in text:
            continue
        try:
            override = PARSER.parse_override(text)
            value = "" if override.is_sweep_override() else override.value()
        except Exception:  # numbers of thousands of digits, lists nested thousands deep
            return unreadable(text)
        if override.key_or_group in _groups() and not _is_option(value):
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
    if own := own_directories(arguments):
        choices.append(f"hydra.searchpath=[{quoted(f'file://{own[-1]}')}]")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            node = OmegaConf.select(compose("config", choices), ".".join(parents) or ".")
    except Exception:  # it is another mistake of the arguments that is to be told
        return []
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def _of_file(error: Exception, arguments: Sequence[str]) -> str | None:
    """The line for an error that a file of one's own, or a swept setting, is the cause of."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return _undecodable(error, arguments)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: {error.problem}"
    if header := BAD_HEADER.match(text):
        return _bad_header(header[1], arguments)
    if swept := SWEPT.match(text):
        return _swept(swept[1])
    if chosen := TWICE.match(text):
        return (
            f"{chosen['group']}: is chosen twice; a file's defaults list replaces the first choice "
            f"by '- override /{chosen['group']}: ...'"
        )
    return _in_defaults_list(text, arguments)


def _in_defaults_list(text: str, arguments: Sequence[str]) -> str | None:
    """The line for a choice that a defaults list makes wrongly, or that no file stands for."""
    missing = NO_OPTION.match(text)
    if found := NO_OVERRIDE.match(text) or missing:
        group, folder = found["group"], found["file"].rpartition("/")[0]
        if folder and group.startswith(f"{folder}/"):
            group = group.removeprefix(f"{folder}/")
            option = found["name"] if missing else "..."
            return (
                f"{found['file']}.yaml: its defaults list looks for {group} below {folder}; write "
                f"'- override /{group}: {option}'"
            )
        if f"'{group}@" in text:
            return (
                f"{found['file']}.yaml: lacks '{HEADER}' as its first line, without which its "
                f"defaults list cannot override {group}"
            )
    if missing and (path := _elsewhere(missing["group"], missing["name"], arguments)):
        right = f"{missing['group']}/{missing['name']}.yaml"
        return f"{one_line(ValueError(text))}; {path} would have to be {right} in that directory"
    return None


def _undecodable(error: UnicodeDecodeError, arguments: Sequence[str]) -> str:
    for path in _files(arguments):
        data = path.read_bytes()
        start = data.find(error.object)
        if error.object and start >= 0:
            line = data.count(b"\n", 0, start + error.start) + 1
            byte = error.object[error.start]
            return f"{path}, line {line}: byte 0x{byte:02x} is no UTF-8; save the file as UTF-8"
    return f"a file of the configuration is no UTF-8: {one_line(error)}"


def _bad_header(line: str, arguments: Sequence[str]) -> str:
    holding = (path for path in _files(arguments) if line in path.read_text("utf-8", "replace"))
    where = next(holding, "a file of the configuration")
    return f"{where}: '# {line}' is no header; it must be '{HEADER}' and nothing else"


def _swept(override: str) -> str:
    key, _, value = override.partition("=")
    if key.lstrip("+").startswith("hydra.sweeper.params."):
        setting = key.split("hydra.sweeper.params.")[1]
        return f"{override}: a grid is not given here; type {setting}={value}, or write sweep.grid"
    return (
        f"{override}: a sweep varies settings of its runs, of this it has one; a text with commas "
        f"is quoted twice: '{key}=\"{value}\"'"
    )


def own_directories(arguments: Sequence[str]) -> list[Path]:
    """What is given as ``--config-dir``, in whatever form."""
    found = []
    for text, after in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = text.partition("=")
        if name in ("--config-dir", "-cd"):
            found.append(Path(value or after).absolute())
    return found


def _files(arguments: Sequence[str]) -> Iterator[Path]:
    for directory in own_directories(arguments):
        yield from (path for path in sorted(directory.rglob("*.yaml")) if path.is_file())


def _elsewhere(group: str, name: str, arguments: Sequence[str]) -> Path | None:
    """An own file of an option's name that Hydra does not find: its folder or ending is wrong."""
    for directory in own_directories(arguments):
        for place in (directory / group, directory, *sorted(directory.iterdir())):
            for path in (place / f"{name}{ending}" for ending in (".yaml", ".yml", "")):
                if path.is_file():
                    return path
    return None
