"""Errors a user can mend: each is one clear line, shown without a traceback."""

import re


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


class CheckError(SanityError):
    """A sanity check that changed nothing, so that its result would mean nothing."""


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
    return " ".join(lines)
