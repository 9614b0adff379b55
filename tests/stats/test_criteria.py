import pytest
from conftest import Compose
from omegaconf import DictConfig

from sanity.core.errors import ConfigError
from sanity.stats.criteria import Criteria, of, read


def test_the_configuration_has_the_defaults_of_the_class(configure: Compose) -> None:
    assert of(configure()) == Criteria() == Criteria(margin=0.5, alpha=0.05, family="cell")


def test_what_is_typed_counts(configure: Compose) -> None:
    found = of(configure("verdict.margin=1", "verdict.alpha=0.01", "verdict.family=report"))
    assert found == Criteria(1.0, 0.01, "report")


def test_a_record_without_criteria_has_the_defaults() -> None:
    assert read(None) == of(DictConfig({})) == Criteria()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"margin": 0}, r"verdict\.margin=0: must be above 0"),
        ({"margin": -1}, r"verdict\.margin=-1: must be above 0"),
        ({"margin": 100}, r"verdict\.margin=100: .* below 100"),
        ({"margin": "much"}, r"verdict\.margin=much: must be a number"),
        ({"margin": float("nan")}, r"verdict\.margin=nan: must be a finite number"),
        ({"alpha": 0.5}, r"verdict\.alpha=0\.5: must be above 0 and below 0\.5"),
        ({"family": "all"}, r"verdict\.family=all: no such choice; choose from cell, report"),
        ({"marign": 1}, r"verdict\.marign: no such setting \(did you mean margin\?\)"),
        ("strict", r"verdict=strict: must be settings"),
    ],
)
def test_what_no_test_can_use_is_refused(values: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(values)
