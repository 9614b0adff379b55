"""Words and numbers as a paper would print them; every check has its own."""

import pytest
from options import options

from sanity.report.output import words


def test_every_check_has_words() -> None:
    checks = {*options("sanity_check"), words.RANDOM_TICKET}
    assert set(words.CHANGES) == checks
    assert set(words.USES) == checks - {words.ORIGINAL}


def test_a_check_of_ones_own_is_called_by_its_name() -> None:
    assert words.change("my_roll") == "my roll"
    assert words.question("my_roll") == "does it depend on what my_roll changes?"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (words.percent(0.98), "98%"),
        (words.percent(0.995), "99.5%"),
        (words.percent(0.1 + 0.2), "30%"),
        (words.percent(None), ""),
        (words.points(-0.276), "\N{MINUS SIGN}0.28"),
        (words.points(1), "+1.00"),
        (words.points(-0.001), "+0.00"),
        (words.points(None), ""),
        (words.interval((-1.0, 0.5)), "[\N{MINUS SIGN}1.00, +0.50]"),
        (words.probability(0.0004), "< 0.001"),
        (words.probability(0.0321), "0.032"),
        (words.spread(98.056, 0.277), "98.06 ±0.28"),
        (words.spread(98.056, None), "98.06"),
        (words.count(1, "seed"), "1 seed"),
        (words.count(2000, "seed"), "2,000 seeds"),
        (words.listed([]), ""),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.settings({"training.lr": 0.1}), "lr=0.1"),
    ],
)
def test_numbers(found: str, expected: str) -> None:
    assert found == expected
