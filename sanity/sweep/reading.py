"""What a sweep's files say, checked: anybody may have damaged them, moved them or made them up.

Directories of jobs are where failed records are removed, so none may lead out of the sweep's.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sanity.core.config import CHOSEN
from sanity.core.errors import SweepError, as_line, reason
from sanity.core.files import printable, read_json
from sanity.stages.stage import StageId
from sanity.store import is_key
from sanity.sweep.compose import leads_below
from sanity.sweep.plan import Job, LeftOut, Plan

SCHEMA = 2
ID = re.compile(r"(\d+(_\d+)?)?", re.ASCII)  # SLURM's; none takes a submission back
NAME = re.compile(r"[a-z][a-z0-9_]*")
ODD = re.compile(r"[^\n -~]|\\[bfru]")  # what may stand for more than plain letters

Values = dict[str, Any]


def sweep(path: Path) -> tuple[Values, Plan]:
    """What stands in ``sweep.json``, and the plan that it is; raises SweepError."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if ODD.search(text):  # in the files of 100,000 jobs that is rare, and looking is not cheap
            content = printable(content)
        if not isinstance(content, dict) or "schema" not in content:
            raise ValueError("it is no sweep")
        if content["schema"] != SCHEMA:
            found = as_line(str(content["schema"]))
            raise SweepError(f"{path}: has schema {found}; this version reads {SCHEMA}")
        return _values(content), _plan(content)
    except FileNotFoundError:
        raise SweepError(
            f"{path.parent}: is no sweep's directory (it has no {path.name})"
        ) from None
    except NotADirectoryError:
        raise SweepError(f"{path.parent}: is no directory") from None
    except OSError as error:
        raise SweepError(f"{path}: cannot be read ({reason(error)})") from error
    except KeyError as error:
        raise SweepError(f"{path}: is damaged (it has no {error})") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise SweepError(f"{path}: is damaged ({as_line(str(error))})") from error


def submissions(path: Path) -> Iterator[Values]:
    """The lines of ``submissions.jsonl``, but for what a killed process has not finished."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict) and _is_submission(one):
            yield {name: one.get(name) for name in ("id", "job", "stage")}


def noted_directory(note: Path) -> Path | None:
    """The sweep that a note in a store is about; None where the note says nothing."""
    try:
        directory = read_json(note)["directory"]
        path = Path(directory)
        return path if path.is_absolute() and "\0" not in directory else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_submission(one: Values) -> bool:
    job, stage = one.get("job"), one.get("stage")
    about_one = type(job) is int if stage is None else isinstance(stage, str) and job is None
    return about_one and isinstance(one.get("id"), str) and ID.fullmatch(one["id"]) is not None


def _values(content: Values) -> Values:
    """The fields beside the plan."""
    texts = ("identity", "name", "store_dir", "launcher", "created")
    found: Values = {name: _is(str, content, name) for name in texts}
    found |= {name: _is(str | None, content, name) for name in ("config_dir", "config_name")}
    found |= {name: _all(str, content, name) for name in ("arguments", "command")}
    seen = content.get("seen", False)  # older ones have neither
    budget = _is(int | float | None, {"budget": content.get("budget")}, "budget")
    if not isinstance(seen, bool) or not (budget is None or 0 < budget < float("inf")):
        raise ValueError(f"seen is {seen!r}, budget {budget!r}")
    return found | {"store_dir": Path(found["store_dir"]), "seen": seen, "budget": budget}


def _plan(content: Values) -> Plan:
    left_out = (
        LeftOut(_all(str, one, "overrides"), _is(str, one, "reason"))
        for one in _all(dict, content, "left_out")
    )
    jobs = tuple(map(_job, _all(dict, content, "jobs")))
    if len({job.number for job in jobs}) < len(jobs):
        raise ValueError("two of its jobs have the same number")
    seeds = _all(int, {"seeds": content.get("seeds", [])}, "seeds")  # older ones have none
    return Plan(_is(str, content, "title"), jobs, tuple(left_out), seeds)


def _job(values: Values) -> Job:
    directory = _is(str, values, "directory")
    if not leads_below(directory):
        raise ValueError(f"the directory of a job, {directory}, is not below it")
    choices = _is(dict, values, "choices")
    return Job(
        number=_is(int, values, "number"),
        overrides=_all(str, values, "overrides"),
        directory=directory,
        stages=tuple(map(_stage, _all(dict, values, "stages"))),
        choices={group: _is(str, choices, group) for group in CHOSEN},
        sparsity=_is(int | float | None, values, "sparsity"),
        seed=_is(int, values, "seed"),
        epochs=_is(int, values, "epochs"),
        workload=_is(str, values, "workload"),
        start=_is(int, values, "start"),
    )


def _stage(values: Values) -> StageId:
    name, kind, key = (_is(str, values, field) for field in ("name", "kind", "key"))
    if not NAME.fullmatch(name) or not NAME.fullmatch(kind) or not is_key(key):
        raise ValueError(f"{name}-{key} names no stage")
    return StageId(name, kind, key)


def _is(kind: Any, values: Values, name: str) -> Any:
    """The field ``name``, which must be of a kind (a switch is no number)."""
    value = values[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}")
    return value


def _all(kind: type, values: Values, name: str) -> tuple[Any, ...]:
    """The list ``name``, all of which must be of a kind."""
    found = _is(list, values, name)
    if not all(isinstance(one, kind) for one in found):
        raise ValueError(f"{name} is {found!r}")
    return tuple(found)
