"""A user's own directory of code and configuration, which may be where one works."""

import os
from collections.abc import Iterator
from pathlib import Path

CODE = (".py", ".yaml", ".yml")
FOREIGN = {"sweep.json", "record.json", "pyvenv.cfg", ".locks"}
"""What marks a directory of something else: a sweep, a run, an environment, a store."""


def code_below(directory: Path) -> Iterator[Path]:
    """The modules and YAML files in ``directory``, in a fixed order; not the copies of sweeps."""
    for place, folders, names in os.walk(directory):
        if not FOREIGN.isdisjoint([*names, *folders]):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        yield from (Path(place, name) for name in sorted(names) if Path(name).suffix in CODE)
