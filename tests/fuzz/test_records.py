"""A record is data: whatever stands in one, loading it gives its ticket or one line about it."""

import json
from pathlib import Path
from typing import Any

import mutating
import pytest
import watching
from conftest import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanity.archs.base import Network
from sanity.core.errors import StoreError
from sanity.load import load


@pytest.fixture
def record(run: Run) -> dict[str, Any]:
    """That of a run, of which the ticket can be loaded."""
    found = run("pruner=magnitude")
    del found["directory"]
    return found


def loaded(path: Path, record: dict[str, Any], content: bytes) -> None:
    """Load the record with this content; nothing is written but beside it and in its store."""
    path.write_bytes(content)
    with watching.only_below(path.parent, record["config"]["store_dir"]):
        try:
            ticket = load(path)
        except StoreError as error:
            line = str(error).replace(str(path), "")
            assert line.isprintable(), ascii(line)
            assert 3 < len(line) < 3000
        else:
            assert isinstance(ticket.network, Network)


def parts(record: dict[str, Any]) -> dict[str, Any]:
    """What a ticket is loaded from; all else that stands in a record is passed on as it is."""
    config = {name: record["config"][name] for name in ("arch", "store_dir")}
    return {"schema": record["schema"], "config": config, "stages": record["stages"]}


fuzz = settings(
    max_examples=watching.examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@fuzz
@given(data=st.data())
def test_any_record(data: st.DataObject, record: dict[str, Any], tmp_path: Path) -> None:
    found = data.draw(mutating.mutations(parts(record)))
    content = record | found if isinstance(found, dict) and data.draw(st.booleans()) else found
    loaded(tmp_path / "record.json", record, json.dumps(content).encode())


@fuzz
@given(data=st.data())
def test_any_bytes(data: st.DataObject, record: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(parts(record))
    loaded(tmp_path / "record.json", record, data.draw(mutating.cuts(text)))
