"""Sweeps that cannot be: too many jobs, directories elsewhere, values that Hydra cannot compose."""

import time

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from planning import plan_of

from sanity.core.errors import ConfigError
from sanity.sweep.compose import leads_below
from sanity.sweep.grid import MOST, expand

PARSER = OverridesParser.create()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=range(1,1e9)"], r"^seed=range\(1,1e9\): gives more than 100,000 values$"),
        (["seed=shuffle(range(1000000000))"], r"\): gives more than 100,000 values$"),
        (["seed=range(0,1,1e-300)"], r"^seed=range\(0,1,1e-300\): gives more than 100,000 values$"),
        (["seed=range(400)", "x=range(300)"], r"^the grid has 120,000 combinations: 100,000 are"),
        ([f"x{i}=1,2,3,4,5,6,7,8" for i in range(40)], r"combinations: 100,000 are the most$"),
        (["seed=range(5,1)"], r"^seed=range\(5,1\): gives no value$"),
        (["seed=range(1,5,0)"], r"^seed=range\(1,5,0\): range\(\) arg 3 must not be zero$"),
        (["seed=range(1,nan)"], r"^seed=range\(1,nan\): "),
    ],
)
def test_too_many_jobs_are_refused_before_they_are_counted_out(
    arguments: list[str], message: str
) -> None:
    start = time.perf_counter()
    with pytest.raises(ConfigError, match=message):
        expand(None, arguments, PARSER)
    assert time.perf_counter() - start < 5


def test_a_union_of_grids_has_the_same_bound() -> None:
    half = {"seed": f"range({MOST // 2 + 1})"}
    with pytest.raises(ConfigError, match=r"^the grid has 100,002 combinations: 100,000 are"):
        expand([half, half], [], PARSER)


def test_a_shuffled_range_has_the_same_values() -> None:
    found = [job[0] for job in expand(None, ["seed=shuffle(range(50))"], PARSER)]
    assert sorted(found) == sorted(f"seed={number}" for number in range(50))
    assert found != [f"seed={number}" for number in range(50)]  # once in 10^64 times


@pytest.mark.parametrize(
    ("directory", "below"),
    [
        ("0_digits", True),
        ("a/b..c/0", True),
        ("./a", True),
        ("", False),
        (".", False),
        ("..", False),
        ("a/../..", False),
        ("/a", False),
        ("a\nb", False),
        ("a\x1b[2J", False),
    ],
)
def test_a_job_lies_below_its_sweep(directory: str, below: bool) -> None:
    assert leads_below(directory) == below


@pytest.mark.parametrize("template", ["../${hydra.job.num}", "/tmp/${seed}", "."])
def test_a_directory_elsewhere_is_refused_before_anything_starts(template: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^hydra\.sweep\.subdir=.*must be one below hydra\.sweep"
    ):
        plan_of("pruner=random", f"hydra.sweep.subdir={template}")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("pruner=lt,5", r"^pruner=5: must be the name of one of its options; see --help \(job: "),
        ("pruner=lt,null", r"^pruner=null: must be the name of one of its options; see --help"),
        ("ratio.sparsity=0.5,null", r"^ratio\.sparsity=None: must be a number in \[0, 1\)"),
        ("seed=0,1e999", r"^seed=inf: must be a whole number"),
        ("seed=0,9223372036854775808", r"^seed=9223372036854775808: must be below 2\^63"),
    ],
)
def test_a_value_that_no_job_can_have_is_one_line(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(argument)
