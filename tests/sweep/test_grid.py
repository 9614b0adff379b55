"""From the description of a grid to the overrides of its jobs."""

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sanity.cli.overrides import quoted
from sanity.core.errors import ConfigError
from sanity.sweep.grid import expand, expand_controls

PARSER = OverridesParser.create()
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), include_characters=" "))


def jobs(grid: Any, *arguments: str) -> list[list[str]]:
    return expand(grid, arguments, PARSER)


def test_a_mapping_is_every_combination_the_last_setting_first() -> None:
    assert jobs({"pruner": ["lt", "snip"], "seed": [0, 1]}) == [
        ["pruner=lt", "seed=0"],
        ["pruner=lt", "seed=1"],
        ["pruner=snip", "seed=0"],
        ["pruner=snip", "seed=1"],
    ]


def test_a_list_is_a_union_in_its_order() -> None:
    grid = [{"pruner": ["dense"]}, {"pruner": ["lt"], "ratio.sparsity": [0.9, 0.98]}]
    assert jobs(grid) == [
        ["pruner=dense"],
        ["pruner=lt", "ratio.sparsity=0.9"],
        ["pruner=lt", "ratio.sparsity=0.98"],
    ]


@pytest.mark.parametrize("grid", [None, {}, [{}]])
def test_no_grid_is_the_one_run_of_the_command_line(grid: Any) -> None:
    assert jobs(grid) == [[]]
    assert jobs(grid, "pruner=lt", "seed=1") == [["pruner=lt", "seed=1"]]
    assert jobs(grid, "seed=0,1") == [["seed=0"], ["seed=1"]]


def test_repetitions_are_dropped_whatever_the_order_of_their_settings() -> None:
    assert jobs({"seed": [0, 1, 0]}) == [["seed=0"], ["seed=1"]]
    first, second = {"pruner": ["lt"], "seed": [0, 1]}, {"seed": [1, 2], "pruner": ["lt"]}
    assert jobs([first, second]) == [
        ["pruner=lt", "seed=0"],
        ["pruner=lt", "seed=1"],
        ["seed=2", "pruner=lt"],
    ]


def test_the_command_line_replaces_a_setting_in_every_grid() -> None:
    grid = [{"pruner": ["lt", "snip"], "seed": [0]}, {"pruner": ["random"], "seed": [0, 1]}]
    assert jobs(grid, "pruner=grasp") == [["seed=0", "pruner=grasp"], ["seed=1", "pruner=grasp"]]
    assert [one for job in jobs(grid, "seed=5,6") for one in job if "seed" in one] == [
        *("seed=5", "seed=6") * 3
    ]


@pytest.mark.parametrize("typed", ["~experiment", "++experiment=b", "+experiment=b"])
def test_a_setting_is_replaced_however_it_is_typed(typed: str) -> None:
    (job,) = jobs({"experiment": ["a", "c"], "seed": [0]}, typed)
    assert job[0] == "seed=0"
    assert job[1].startswith(typed)
    assert len(job) == 2


def test_the_command_line_multiplies_with_what_the_grid_lacks() -> None:
    found = jobs({"seed": [0, 1]}, "pruner=lt,snip", "ratio.sparsity=0.9")
    assert len(found) == 4
    assert found[1] == ["seed=0", "pruner=snip", "ratio.sparsity=0.9"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("range(3)", ["0", "1", "2"]),
        ("range(1,6,step=2)", ["1", "3", "5"]),
        ("0.9,0.98", ["0.9", "0.98"]),
        ("choice(lt,snip)", ["lt", "snip"]),
        ("lt", ["lt"]),
        (0.5, ["0.5"]),
        ([True, None], ["True", "null"]),
        (["a b", "x,y"], ["'a b'", "'x,y'"]),
        ([[1, 2], [3]], ["[1,2]", "[3]"]),
        ([{"a": 1, "b": "c d"}], ["{a:1,b:'c d'}"]),
    ],
)
def test_values_are_a_list_or_hydras_own_syntax(values: Any, expected: list[str]) -> None:
    assert jobs({"key": values}) == [[f"key={text}"] for text in expected]
    assert jobs(None, *(f"key={text}" for text in expected[:1])) == [[f"key={expected[0]}"]]


def test_a_grid_reads_the_same_from_yaml() -> None:
    text = "- {pruner: [lt], seed: range(2)}\n- {pruner: [dense], arch.widths: [[4, 8, 8]]}\n"
    grid = OmegaConf.to_container(OmegaConf.create(text))
    assert jobs(grid) == [
        ["pruner=lt", "seed=0"],
        ["pruner=lt", "seed=1"],
        ["pruner=dense", "arch.widths=[4,8,8]"],
    ]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("lt", r"^sweep\.grid=lt: must map settings to their values"),
        (3, r"^sweep\.grid=3: must map settings"),
        ([["pruner"]], r"^sweep\.grid=\['pruner'\]: must map settings"),
        ([{"seed": [0]}, "lt"], r"^sweep\.grid=lt: must map settings"),
        ({"seed": [0], "pruner": []}, r"^sweep\.grid\[0\]\.pruner: has no value"),
        ([{}, {"pruner": []}], r"^sweep\.grid\[1\]\.pruner: has no value"),
        ({"training.lr": "interval(0,1)"}, r"^training\.lr=interval\(0,1\): a grid needs a list"),
    ],
)
def test_a_grid_of_another_form_is_refused(grid: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        jobs(grid)


def test_an_interval_on_the_command_line_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"such as training\.lr=0\.9,0\.95; intervals are for"):
        jobs({"seed": [0]}, "training.lr=interval(0.1,1)")


@given(PRINTABLE)
@example("1_2")
@example("1e3")
@example("NaN")
@example("null")
@example("/home/josé/store")
@example("it's \\' \\")
@example("${x}")
def test_a_quoted_text_is_the_same_text_to_hydra(text: str) -> None:
    parsed = PARSER.parse_override(f"key={quoted(text)}").value()
    assert isinstance(parsed, str)
    assert parsed == text


@given(st.lists(PRINTABLE, min_size=1, max_size=4, unique=True))
def test_texts_of_a_grid_reach_their_jobs_unchanged(texts: list[str]) -> None:
    found = [PARSER.parse_override(job[0]).value() for job in jobs({"key": texts})]
    assert found == texts


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PRINTABLE,
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
def test_values_of_a_grid_reach_their_jobs_unchanged(value: Any) -> None:
    (job,) = jobs({"key": [value]})
    assert PARSER.parse_override(job[0]).value() == value


CONTROLS = {"pruner": ["random"], "sanity_check": ["none", "rearrange"]}


def controls(*arguments: str) -> list[list[str]]:
    return expand_controls(CONTROLS, {"sanity_check": ["none"], "seed": [0]}, arguments, PARSER)


@pytest.mark.parametrize("sparsity", [(), ("ratio.sparsity=null",)])
def test_controls_beside_a_ticket_from_a_file_are_as_sparse_as_it(sparsity: tuple[str]) -> None:
    assert controls("pruner=from_checkpoint", "pruner.path=a.pth", *sparsity) == [
        ["seed=0", "ratio.sparsity=a.pth", "pruner=random", "sanity_check=none"],
        ["seed=0", "ratio.sparsity=a.pth", "pruner=random", "sanity_check=rearrange"],
    ]


def test_beside_several_files_they_are_as_sparse_as_each() -> None:
    found = controls("pruner=from_checkpoint", "pruner.path=a.pth,b.pth")
    assert {text for one in found for text in one if "sparsity" in text} == {
        "ratio.sparsity=a.pth",
        "ratio.sparsity=b.pth",
    }


def test_a_path_of_another_pruner_is_no_sparsity() -> None:
    for typed in (("pruner=mine", "+pruner.path=a.txt"), ("pruner=snip", "ratio.sparsity=0.9")):
        found = [text for one in controls(*typed) for text in one]
        assert not any("a.txt" in text for text in found)
        assert ("ratio.sparsity=0.9" in found) == (typed[0] == "pruner=snip")
