"""What Hydra and YAML say to a file or an override, as one line about that file or override.

They raise errors of many kinds, some of which name no file. Imports no torch.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from yaml import MarkedYAMLError

from sanity.core.errors import one_line
from sanity.experiment.option_files import HEADER

BAD_HEADER = re.compile(r"(?:Too many components in|Expected header format: KEY VALUE, got) '(.*)'")
SWEPT = re.compile(r"Sweeping over Hydra's configuration is not supported : '(.*)'")
TWICE = re.compile(
    r"(?:Multiple values for )?(?P<group>\S+?)(?:\. To override| appears more than once in)"
)
NO_OVERRIDE = re.compile(r"In '(?P<file>[^']+)': Could not override '(?P<group>[^@']+)")
NO_OPTION = re.compile(r"In '(?P<file>[^']+)': Could not find '(?P<group>[^']+)/(?P<name>[^/']+)'")


def explain_file(error: BaseException, arguments: Sequence[str]) -> str | None:
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
    override, missing = NO_OVERRIDE.match(text), NO_OPTION.match(text)
    if override or missing:
        found = override or missing
        assert found is not None
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
        places = [directory / group, directory, *sorted(directory.iterdir())]
        for place in places:
            for ending in (".yaml", ".yml", ""):
                path = place / f"{name}{ending}"
                if path.is_file():
                    return path
    return None
