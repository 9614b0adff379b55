"""Whatever stands in a record, it is reported or named as unreadable; nothing else happens."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import simulated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latex import tabulars
from simulated import Arm

from sanity.report.data import matrix
from sanity.report.output import as_bibtex, as_csv, as_json, as_latex, pages, terminal
from sanity.report.report import make

ARMS = [Arm(seed=seed, check=check) for seed in (0, 1) for check in ("none", "rearrange")]
RECORDS = [simulated.weighed(simulated.record(arm)) for arm in ARMS]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([10**400, -1, 0, 1e308, "NaN", "completed", "failed", "\ud800", "<b>", "=1"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every node of a record."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            found += places(item, (*path, name))
    return found


PLACES = places(RECORDS[0])


def mutated(record: dict[str, Any], place: tuple[Any, ...], value: Any, gone: bool) -> Any:
    found = copy.deepcopy(record)
    node = found
    for name in place[:-1]:
        node = node[name]
    if gone:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    return found


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.sampled_from(PLACES), value=values, gone=st.booleans(), number=st.integers(0, 3))
def test_any_record(place: tuple[Any, ...], value: Any, gone: bool, number: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for index, record in enumerate(RECORDS):
            folder = Path(directory) / str(index)
            folder.mkdir()
            content = mutated(record, place, value, gone) if index == number else record
            (folder / "record.json").write_text(json.dumps(content))
        report = make([Path(directory)])
        assert len(report.runs) + len(report.absent) + len(report.unreadable) == len(RECORDS)
        json.dumps(as_json.content(report), allow_nan=False).encode()
        as_csv.frame(report).to_csv(index=False).encode()
        pages.html(report, {}, best=True).encode()
        pages.markdown(report, {}, best=True).encode()
        pages.tables_alone(report, "command", best=True).encode()
        tabulars(as_latex.render(report, "command", best=True))
        assert as_bibtex.render(report).count("{") == as_bibtex.render(report).count("}")
        assert terminal.render(report, best=True)
        assert matrix.verdicts(report).rows or not report.questions
