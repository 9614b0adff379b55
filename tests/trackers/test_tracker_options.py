"""Every tracker there is: found by its YAML file, checked before anything starts."""

import dataclasses
from typing import Any

import pytest
from conftest import Compose, Run
from options import load_option, options

from sanity import trackers
from sanity.core.errors import ConfigError
from sanity.experiment.instantiate import class_of
from sanity.trackers.base import Tracker

REAL = [name for name in options("tracker") if name != "none"]


def test_the_options_are_those_that_the_documentation_names() -> None:
    assert options("tracker") == ["none", "tensorboard", "wandb"]


@pytest.mark.parametrize("name", REAL)
def test_an_option_is_a_tracker_with_the_defaults_of_its_class(
    name: str, configure: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    (tracker,) = trackers.build(configure(f"tracker={name}"))
    kind = class_of(name, load_option("tracker", name)[name])
    assert type(tracker) is kind
    assert kind.__module__ == f"sanity.trackers.{name}"
    assert dataclasses.is_dataclass(tracker)
    default = kind()
    given: dict[str, Any] = vars(tracker)
    assert given == vars(default)
    assert tracker.place == default.place
    assert tracker.patience > 0
    assert tracker.where("group")


def test_several_at_once_none_and_the_default(
    configure: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")

    def names(*overrides: str) -> list[str]:
        return [
            type(one).__module__.split(".")[-1] for one in trackers.build(configure(*overrides))
        ]

    assert names() == ["wandb"]
    assert names("tracker=none") == []
    assert names("tracker=[wandb,tensorboard]") == ["wandb", "tensorboard"]
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert names() == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tracker.wandb.mode=on"], "tracker.wandb.mode=on: no such choice"),
        (["tracker.wandb.timeout=0"], "tracker.wandb.timeout=0: must be above 0 seconds"),
        (["tracker.wandb.timeout=soon"], "tracker.wandb.timeout=soon: must be a number"),
        (["tracker.wandb.project=a/b"], "tracker.wandb.project=a/b: must be a name of 128"),
        (["tracker.wandb.tags=[1]"], r"tracker.wandb.tags=\[1\]: must be a list of texts"),
        (["+tracker.wandb.colour=1"], "tracker.wandb.colour: no such setting"),
        (["tracker.wandb.tags=[" + "x" * 65 + "]"], "must have 1 to 64 letters each"),
        (["tracker.wandb.project=" + "x" * 129], "must be a name of 128 letters at most"),
        (["+tracker.mine._target_=sanity.checks.none.NoCheck"], "tracker.mine._target_"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_trained(
    overrides: list[str], message: str, run: Run
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(*overrides)


def test_tensorboard_is_asked_for_before_anything_starts(
    configure: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs the package tensorboard"):
        trackers.build(configure("tracker=tensorboard"))


class Mine(Tracker):
    """A user's own tracker, found by its target."""

    name = "mine"
    place = "mine"

    def where(self, group: str | None) -> str:
        return "mine"

    def validate(self) -> None:
        """Fine."""

    def open(self, training: Any) -> Any:
        raise AssertionError


def test_a_users_own_tracker_is_one_more(configure: Compose) -> None:
    chosen = trackers.build(configure(f"+tracker.mine._target_={__name__}.Mine"))
    assert [type(one).__name__ for one in chosen] == ["Mine"]
