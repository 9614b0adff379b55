"""A record as somebody else may have left it: whole, and of this version, or one line about it."""

from pathlib import Path
from typing import Any

from sanity.core.errors import StoreError, as_line, one_line, reason
from sanity.core.files import read_json
from sanity.record.record import SCHEMA


def read(path: Path) -> dict[str, Any]:
    """The content of a ``record.json``; raises StoreError where it is none that can be used."""
    try:
        content = read_json(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({reason(error)})") from error
    except ValueError as error:
        raise damaged(path, one_line(error)) from error
    if not isinstance(content, dict) or "schema" not in content:
        raise StoreError(f"{path}: is no record of a run")
    if content["schema"] != SCHEMA:
        found = as_line(str(content["schema"]))
        raise StoreError(f"{path}: has schema {found}; this version reads {SCHEMA}")
    return content


def damaged(path: Path, why: str) -> StoreError:
    """That a record says what no run can have written."""
    return StoreError(f"{path}: is damaged ({as_line(why)})")
