"""Values that Hydra's grammar has no letters for are texts all the same."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from sanity.cli.overrides import for_shell, quoted, readable, unreadable

PARSER = OverridesParser.create()


def value_of(override: str) -> Any:
    """What Hydra makes of an override, several values as a list."""
    parsed = PARSER.parse_override(override)
    if parsed.is_sweep_override():
        return [str(one) for one in parsed.sweep_string_iterator()]
    return parsed.value()


@pytest.mark.parametrize(
    "text",
    ["~/flowers", "it's", "a(b)", "a#b", "a=b", "a&b", "Blütenstände", "/data/ü ß", "50%!", "a;b"],
)
def test_a_plain_text_is_taken_for_one(text: str) -> None:
    assert value_of(readable(f"dataset.path={text}")) == text


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("x=[~/a,~/b]", ["~/a", "~/b"]),
        ("x={a:~/b}", {"a": "~/b"}),
        ("x=[1,2]", [1, 2]),
        ("x='~/a'", "~/a"),
        ("x=1e-3", 1e-3),
        ("x=null", None),
        ("x=", ""),
    ],
)
def test_what_can_be_read_means_what_it_always_did(typed: str, expected: Any) -> None:
    assert value_of(readable(typed)) == expected


def test_commas_separate_values_as_everywhere() -> None:
    (first, second) = value_of(readable("x=~/a,~/b"))
    assert [first.strip("'\""), second.strip("'\"")] == ["~/a", "~/b"]


@pytest.mark.parametrize("name", ["hydra.run.dir", "hydra.sweep.dir"])
def test_home_is_home_where_hydra_would_make_a_directory_of_that_name(name: str) -> None:
    assert value_of(readable(f"{name}=~/runs")) == str(Path.home() / "runs")


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("lt", ["lt: cannot be read; settings are given as key=value"]),
        ("sé=1", ["cannot be in the name of a setting", "é"]),
        ("x=[1,2", ["x=[1,2: cannot be read"]),
        ("x='a", ["x='a: cannot be read"]),
        ("x=a(b", ["x=a(b: cannot be read"]),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_says_where(typed: str, parts: list[str]) -> None:
    line = unreadable(typed)
    assert "\n" not in line
    for part in parts:
        assert part in line


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30))
def test_any_text_survives_its_quotes(text: str) -> None:
    assert value_of(f"x={quoted(text)}") == text


@given(st.text("ab ~('#&=,ü[]{}\\\"", min_size=1, max_size=12))
def test_what_is_made_readable_can_be_read_or_stays(text: str) -> None:
    mended = readable(f"x={text}")
    if mended != f"x={text}":
        value_of(mended)


@pytest.mark.parametrize("text", ["a b", "it's", 'say "x"', "$HOME", "a\\"])
def test_a_shell_is_given_quotes_within_quotes(text: str) -> None:
    import shlex

    (word,) = shlex.split(for_shell("x", text))
    assert value_of(word) == text


def test_bytes_that_python_cannot_decode_are_named() -> None:
    line = unreadable("store_dir=st\udcffr")
    assert line.endswith(": cannot be read: byte 0xff in it is no utf-8")
