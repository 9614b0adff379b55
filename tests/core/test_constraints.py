"""What an annotation allows is read from it, and said in words."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from sanity.core.config import conform
from sanity.core.constraints import allowed, listed
from sanity.core.errors import ConfigError

CASES: list[tuple[Any, str, list[Any], list[Any]]] = [
    (int, "a whole number", [0, -3], [1.0, True, "1", None]),
    (float, "a number", [0.5, 1], [True, "x", float("nan"), float("inf")]),
    (bool, "true or false", [True], [1, "true"]),
    (int | None, "a whole number or null", [None, 2], ["null"]),
    (Annotated[int, Ge(1)], "a whole number, 1 or more", [1], [0, 1.0]),
    (Annotated[int, Ge(1), Le(1024)], "a whole number, from 1 to 1,024", [1024], [1025]),
    (Annotated[float, Ge(0), Lt(1)], "from 0 to below 1", [0, 0.99], [1, -0.1]),
    (Annotated[float, Gt(0), Le(1)], "above 0, up to 1", [1], [0]),
    (Annotated[float, Gt(0), Lt(1)], "above 0 and below 1", [0.5], [0, 1]),
    (Annotated[float, Gt(0), "why"], "above 0 (why)", [3], [0]),
    (Annotated[float, Le(2)], "2 at most", [2], [2.1]),
    (Annotated[float, Lt(2)], "below 2", [1.9], [2]),
    (Literal["a", None, 2], "a, null or 2", ["a", None, 2], ["b", 3, 2.0]),
    (Literal["a", "b"], "a or b", ["a"], ["c", 1, None]),
    (
        Literal["auto"] | Annotated[int, Ge(2)],
        "auto or a whole number, 2 or more",
        ["auto", 2],
        [1, "x"],
    ),
    (
        Literal["auto", "dense"] | Annotated[float, Ge(0), Le(1), "a keep ratio"],
        "auto, dense or a number, from 0 to 1 (a keep ratio)",
        ["auto", 0.5, 1],
        ["x", 2],
    ),
    (list[str], "a list of texts", [[], ["a"]], ["a", [1], None]),
    (list[int], "a list of whole numbers", [[3]], [[1.5]]),
    (
        list[Annotated[float, Ge(0)]],
        "a list, each 0 or more",
        [[], [1, 0.5]],
        [3, "x", [-1], [None], ["a"]],
    ),
]


@pytest.mark.parametrize(("hint", "words", "good", "bad"), CASES, ids=[case[1] for case in CASES])
def test_what_is_allowed_is_taken_and_said(
    hint: Any, words: str, good: list[Any], bad: list[Any]
) -> None:
    options = allowed(hint)
    assert listed(options) == words
    for value in good:
        assert any(one.takes(value) for one in options), value
    for value in bad:
        assert not any(one.takes(value) for one in options), value


@pytest.mark.parametrize(
    "hint",
    [dict[str, int], dict[str, Annotated[int, []]], Sequence[Any] | int, object, list[Any], None],
)
def test_what_is_not_understood_is_the_classs_own_business(hint: Any) -> None:
    assert allowed(hint) == ()


class Part:
    def __init__(
        self,
        rate: Annotated[float, Gt(0), Lt(1)] = 0.5,
        mode: Literal["fast", "slow"] = "fast",
        steps: Annotated[int, Ge(1)] | None = None,
    ) -> None: ...


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"rate": 1}, "group.rate=1: must be above 0 and below 1"),
        ({"rate": "x"}, "group.rate=x: must be a number, above 0 and below 1"),
        ({"mode": "fats"}, "group.mode=fats: no such choice (did you mean fast?)"),
        ({"mode": 3}, "group.mode=3: must be fast or slow"),
        ({"steps": 0}, "group.steps=0: must be a whole number, 1 or more or null"),
        ({"step": 1}, "group.step: no such setting (did you mean steps?)"),
        ({"rate": float("nan")}, "group.rate=nan: must be a finite number"),
        ({"steps": float("inf")}, "group.steps=inf: must be a whole number, 1 or more or null"),
        ({"steps": 2**64}, "must be below 2^63"),
    ],
)
def test_one_line_says_what_is_wrong(values: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        conform("group", Part, values)
    assert line in str(raised.value)


def test_whole_numbers_become_floats_where_floats_are_meant() -> None:
    found = conform("group", Both, {"rate": 1, "either": 1, "steps": 1})
    assert [type(value) for value in found.values()] == [float, int, int]


class Both:
    def __init__(self, rate: float, either: float | int, steps: int | Literal["auto"]) -> None: ...
