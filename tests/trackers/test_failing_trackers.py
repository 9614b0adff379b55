"""A tracker never stops a run, whatever it raises and wherever; signals and wrong settings do."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from omegaconf import DictConfig
from tracking import call

from sanity import trackers
from sanity.core import pending
from sanity.core.errors import ConfigError
from sanity.core.signals import Terminated
from sanity.trackers.guard import standing_aside

MODULE = """
from dataclasses import dataclass
from sanity.trackers.base import Curve, Tracker


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("not even that")


class Worst(BaseException):
    pass


def fail(what):
    raise {"error": RuntimeError("no luck"), "exit": SystemExit(3), "odd": Odd(),
           "worst": Worst("no luck"), "end": GeneratorExit()}[what]


@dataclass
class Bad(Tracker):
    at: str
    what: str = "error"

    def __post_init__(self):
        self.reach("built")

    def reach(self, place):
        if place == self.at:
            fail(self.what)

    @property
    def name(self):
        self.reach("named")
        return "bad"

    @property
    def active(self):
        self.reach("active")
        return True

    @property
    def patience(self):
        self.reach("patience")
        return 5 if self.at != "impatient" else "five"

    @property
    def place(self):
        self.reach("place")
        return "here"

    def where(self, group):
        self.reach("where")
        return "bad: here" if self.at != "nowhere" else [None]

    def validate(self):
        self.reach("checked")

    def subject(self, training):
        self.reach("subject")
        return training.id

    def open(self, training):
        self.reach("opened")
        return BadCurve(self)


class BadCurve(Curve):
    def __init__(self, tracker):
        self.tracker = tracker

    def add(self, figures):
        self.tracker.reach("added")

    def finish(self, ending):
        self.tracker.reach("finished")

    def note(self):
        self.tracker.reach("noted")
        return {} if self.tracker.at != "odd note" else {"a": object()}
"""
PLACES = (
    *("built", "named", "active", "patience", "impatient", "place", "where", "nowhere", "checked"),
    *("subject", "opened", "added", "finished", "noted", "odd note"),
)


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    own = tmp_path / "own"
    own.mkdir()
    (own / "bad_tracker.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(own))
    yield own
    for name in [name for name in sys.modules if name.startswith("bad_tracker")]:
        del sys.modules[name]


def settings(at: str, what: str = "error", target: str = "bad_tracker.Bad") -> list[str]:
    values = {"_target_": target, "at": at, "what": what}
    return ["tracker=none", *(f"+tracker.bad.{name}='{text}'" for name, text in values.items())]


@pytest.mark.parametrize("place", PLACES)
def test_a_tracker_that_fails_anywhere_is_one_warning(
    place: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    record = run(*settings(place))
    pending.settle()
    assert record["status"] == "completed"
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 1, warnings
    assert "the run goes on" in warnings[0]
    if place not in ("impatient", "nowhere", "odd note"):
        assert "no luck" in warnings[0]


@pytest.mark.parametrize("what", ["exit", "odd", "worst", "end"])
@pytest.mark.parametrize("place", ["built", "where", "opened", "added", "finished"])
def test_whatever_it_raises(
    place: str, what: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(*settings(place, what))["status"] == "completed"
    pending.settle()
    assert caplog.text.count("the run goes on") == 1


@pytest.mark.parametrize(
    "lines",
    ["import sys; sys.exit(1)", "import nowhere_to_be_found", "1 / 0", "{}.missing", "]"],
)
def test_a_module_that_cannot_be_imported(
    lines: str, module: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    (module / "bad_tracker_module.py").write_text(lines)
    assert run(*settings("", target="bad_tracker_module.Bad"))["status"] == "completed"
    assert caplog.text.count("the run goes on without it") == 1


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (settings("", target="bad_trucker.Bad"), "No module named 'bad_trucker'"),
        (settings("", target="bad_tracker.Bed"), "Bed"),
        (settings("", target="bad_tracker.BadCurve"), "is no sanity.trackers.base.Tracker"),
        ([*settings(""), "+tracker.bad.colour=red"], "colour: no such setting"),
        ([*settings(""), "tracker.bad.at=3"], "must be a text"),
    ],
)
def test_a_setting_that_is_wrong_is_still_refused(
    overrides: list[str], says: str, run: Run
) -> None:
    with pytest.raises(ConfigError, match=says):
        run(*overrides)


def test_who_asks_for_a_tracker_alone_is_told_that_it_fails() -> None:
    values: dict[str, Any] = {"_target_": "bad_tracker.Bad", "at": "checked", "what": "exit"}
    with pytest.raises(ConfigError, match=r"tracker\.bad: 3"):
        trackers.build(DictConfig({"tracker": {"bad": values}}), required=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated(15)])
def test_signals_are_for_the_run(error: BaseException) -> None:
    with pytest.raises(type(error)), standing_aside("it", "the run goes on"):
        raise error


def test_the_command_ends_well_too(tmp_path: Path, module: Path) -> None:
    done = call(tmp_path, "--config-dir", str(module), *settings("where", "exit"))
    assert "warning: bad: 3; the run goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "run" / "record.json").read_text())["status"] == "completed"
