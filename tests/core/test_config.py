"""The typed part of the configuration, and messages for what does not fit it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from omegaconf import DictConfig

from sanity.core.config import conform, read_settings, unknown
from sanity.core.errors import ConfigError


@dataclass
class Options:
    count: int
    rate: float = 0.5
    name: str | None = None
    either: str | float = "auto"


def test_values_are_converted_to_what_a_class_says() -> None:
    fitting = conform("pruner", Options, {"count": 3, "rate": 1, "name": None, "either": "x"})
    assert fitting == {"count": 3, "rate": 1.0, "name": None, "either": "x"}
    assert type(fitting["rate"]) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "many"}, r"pruner\.count=many: must be a whole number$"),
        ({"count": 1.5}, r"pruner\.count=1\.5: must be a whole number$"),
        ({"count": True}, r"pruner\.count=True: must be a whole number$"),
        ({"count": 1, "rate": "x"}, r"pruner\.rate=x: must be a number$"),
        ({"count": 1, "name": 5}, r"pruner\.name=5: must be a text or null$"),
        ({"count": 1, "cuont": 2}, r"pruner\.cuont: no such setting \(did you mean count\?\)"),
        ({"rate": 1.0}, r"pruner\.count: must be given$"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        conform("pruner", Options, values)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=-1", "seed=-1: must be a whole number, 0 or more"),
        ("seed=abc", "seed=abc: must be a whole number"),
        ("threads=0", "threads=0: must be a whole number, from 1 to 1,024 or null"),
        ("until=prun", r"until=prun: no such choice \(did you mean prune\?\)"),
        ("allow_dead=7", "allow_dead=7: must be true or false"),
        ("checkpoint_every=-1", r"checkpoint_every=-1: must be 0 or more \(seconds\) or null"),
        ("checkpoint_every=often", "checkpoint_every=often: must be a number, 0 or more"),
        ("checkpoint_every=1" + "0" * 400, "checkpoint_every=10*: must be below 2\\^63"),
        ("seed=9223372036854775808", r"seed=9223372036854775808: must be below 2\^63"),
        ("threads=1025", "threads=1025: must be a whole number, from 1 to 1,024 or null"),
        ("store_dir='~nobody_here/x'", "store_dir=~nobody_here/x: there is no user of that name"),
    ],
)
def test_top_level_settings_are_checked(
    configure: Callable[..., DictConfig], override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(configure(override))


def test_seed_zero_is_a_seed(configure: Callable[..., DictConfig]) -> None:
    assert read_settings(configure("seed=0")).seed == 0


def test_the_largest_seed_is_one(configure: Callable[..., DictConfig]) -> None:
    assert read_settings(configure(f"seed={2**63 - 1}")).seed == 2**63 - 1


class Elsewhere:
    """A class whose hints only a type checker can evaluate."""

    def __init__(self, count: "Missing" = 1) -> None:  # type: ignore[name-defined]  # noqa: F821
        self.count = count


def test_hints_that_cannot_be_evaluated_are_left_alone() -> None:
    assert conform("pruner", Elsewhere, {"count": "many"}) == {"count": "many"}


def test_unknown_names_come_with_choices() -> None:
    assert unknown("arch", "resnet33", ["vgg11", "resnet32"]) == (
        "arch=resnet33: no such choice (did you mean resnet32?); choose from resnet32, vgg11"
    )
