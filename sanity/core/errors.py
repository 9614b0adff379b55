"""Errors a user can mend: each is one clear line, shown without a traceback."""

import re
from collections.abc import Collection
from itertools import islice
from pathlib import Path


class SanityError(Exception):
    """A problem stated in the user's words: the setting, what is wrong, what is allowed."""


class ConfigError(SanityError):
    """An unknown name or an impossible combination of settings, found before any training."""


class CombinationError(ConfigError):
    """Settings that are fine one by one and mean nothing together; grids leave them out."""


class SweepError(SanityError):
    """A sweep of which jobs failed, or that cannot be launched or read."""


class DataError(SanityError):
    """A data set that is missing, truncated, of the wrong form or not the one it claims to be."""


class StoreError(SanityError):
    """A store or data directory that cannot be read or written."""


class TrainingError(SanityError):
    """Training that cannot go on, such as a loss that is no longer a number."""


class ChangedError(SanityError):
    """Code or files that are no longer what a result would be stored under."""


class CheckError(SanityError):
    """A sanity check that changed nothing, so that its result would mean nothing."""


def reason(error: OSError) -> str:
    """What the system says, in words that help: of a link to nothing it says that it exists."""
    path = Path(error.filename) if isinstance(error.filename, str) else None
    if isinstance(error, FileExistsError) and path and path.is_symlink() and not path.exists():
        return f"a link to {path.readlink()}, which is not there; create that, or remove the link"
    return error.strerror or str(error)


LONGEST = 2000  # letters of a line that anybody reads


def as_line(text: object) -> str:
    """``text`` as one line of what a terminal shows as it stands; names may hold anything."""
    shown = "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "\N{REPLACEMENT CHARACTER}"
        for letter in str(text).strip()
    )
    cut = len(shown) - LONGEST  # both ends matter: which setting, and what is wrong with it
    return shown if cut <= 0 else f"{shown[: LONGEST // 2]} ... {shown[LONGEST // 2 + cut :]}"


def listed(names: Collection[object], most: int = 3, separator: str = ", ") -> str:
    """The first few of ``names``, and how many more there are."""
    shown = separator.join(map(as_line, islice(names, most)))
    more = len(names) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def one_line(error: BaseException) -> str:
    """Hydra's and OmegaConf's messages in one line: what is wrong and, where known, the choices."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = "\n".join(lines)
    missing = re.search(r"Could not find '(?P<option>[^']+)'", text)
    choices = re.search(
        r"Available options in '(?P<group>[^']+)':\n(?P<names>(?:[^\n]+\n?)+)", text
    )
    if missing and choices:
        names = choices["names"].split("Config search path")[0].split()
        group, _, name = missing["option"].rpartition("/")
        return f"{group}={name}: no such option; choose from {', '.join(sorted(names))}"
    lines = [line for line in lines if not line.startswith(("full_key", "object_type", "See http"))]
    return " ".join(lines) or type(error).__name__
