import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from sanity.core.errors import ConfigError
from sanity.rewinds.base import Rewind
from sanity.rewinds.epoch import Epoch
from sanity.rewinds.learning_rate import LearningRate

CONF = Path(__file__).parents[2] / "conf" / "rewind"
REWINDS = sorted(path.stem for path in CONF.glob("*.yaml"))


def registered(name: str, **settings: float) -> Rewind:
    rewind = instantiate(OmegaConf.load(CONF / f"{name}.yaml"), **settings)
    assert isinstance(rewind, Rewind)
    return rewind


def test_modules_and_options_bear_the_same_names() -> None:
    package = CONF.parents[1] / "sanity" / "rewinds"
    assert {path.stem for path in package.glob("*.py")} - {"__init__", "base"} == set(REWINDS)


@pytest.mark.parametrize("name", REWINDS)
def test_yaml_values_are_the_class_defaults(name: str) -> None:
    settings = dict(OmegaConf.load(CONF / f"{name}.yaml"))
    parameters = inspect.signature(get_class(settings.pop("_target_"))).parameters
    assert settings == {key: parameter.default for key, parameter in parameters.items()}


@pytest.mark.parametrize(
    ("name", "settings", "source", "start"),
    [
        ("init", {}, "init", 0),
        ("epoch", {}, "epoch", 1),
        ("epoch", {"epoch": 5}, "epoch", 5),
        ("learning_rate", {}, "final", 0),
        ("learning_rate", {"epoch": 4}, "final", 4),
        ("learning_rate", {"epoch": 0.75}, "final", 4),
        ("learning_rate", {"epoch": 0.1}, "final", 0),
        ("learning_rate", {"epoch": 1 / 3}, "final", 2),
    ],
)
def test_source_and_start(name: str, settings: dict[str, float], source: str, start: int) -> None:
    rewind = registered(name, **settings)
    assert rewind.source == source
    assert rewind.start_epoch(epochs=6) == start
    rewind.validate(epochs=6)


@pytest.mark.parametrize(
    ("rewind", "epochs", "message"),
    [
        (Epoch(0), 10, r"rewind\.epoch=0: must be from 1 to 9, .* training\.epochs=10"),
        (Epoch(10), 10, r"rewind\.epoch=10: must be from 1 to 9"),
        (Epoch(-1), 10, r"rewind\.epoch=-1"),
        (Epoch(1), 1, r"rewind\.epoch=1: needs training\.epochs of 2 or more"),
        (LearningRate(-1), 10, r"rewind\.epoch=-1: must be from 0 to 9"),
        (LearningRate(1.5), 10, r"rewind\.epoch=1\.5: must be from 0 to 9, .* share of them"),
        (LearningRate(10), 10, r"rewind\.epoch=10: .* training\.epochs=10"),
    ],
)
def test_an_epoch_outside_the_schedule_is_refused(
    rewind: Rewind, epochs: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        rewind.validate(epochs)


@pytest.mark.parametrize(("rewind", "epochs"), [(Epoch(9), 10), (LearningRate(9), 10)])
def test_the_last_epoch_may_be_repeated_alone(rewind: Rewind, epochs: int) -> None:
    rewind.validate(epochs)


def test_a_share_is_the_epoch_that_one_means() -> None:
    assert LearningRate(0.29).start_epoch(epochs=100) == 29
    assert LearningRate(0.75).start_epoch(epochs=15) == 11
