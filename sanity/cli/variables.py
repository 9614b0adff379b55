"""Environment variables of this project, and those that are probably meant to be."""

import difflib
import functools
import re
from collections.abc import Iterable

from sanity.core.config import HOME, PROJECT
from sanity.core.errors import ConfigError

PREFIX = "SANITY_"
ALIKE = 0.75  # of what follows the prefix: STROE_DIR is to STORE_DIR as 0.89, STORE as 0.71


@functools.cache
def known() -> frozenset[str]:
    """The variables to which the project's configuration refers, and that of a job's project."""
    texts = (path.read_text(encoding="utf-8") for path in (PROJECT / "conf").rglob("*.yaml"))
    found = (name for text in texts for name in re.findall(rf"oc\.env:({PREFIX}\w+)", text))
    return frozenset({HOME, *found})


def refuse_misspelled(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that is almost one of ours; others may be anybody's."""
    rests = {name.removeprefix(PREFIX): name for name in known()}
    for name in names:
        rest = name.upper().removeprefix(PREFIX)
        if rest == name.upper() or name in known():
            continue
        if close := difflib.get_close_matches(rest, rests, n=1, cutoff=ALIKE):
            raise ConfigError(
                f"{name}: nobody reads this variable; did you mean {rests[close[0]]}?"
            )
