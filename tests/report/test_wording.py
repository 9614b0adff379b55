"""Words and numbers as a paper would print them; every check has its own."""

import pytest
from options import options

from sanity.report.output import wording


def test_every_check_has_words() -> None:
    checks = [*options("sanity_check"), wording.RANDOM_TICKET]
    words = [wording.change(check) for check in checks]
    asked = [wording.question(check) for check in checks if check != wording.ORIGINAL]
    assert len({*words}) == len(checks) == len({*asked}) + 1
    assert all(words)
    assert not any("depend on what" in text or "on ?" in text for text in asked)
    assert sorted(checks, key=wording.position)[-1] == wording.RANDOM_TICKET
    assert min(checks, key=wording.position) == wording.ORIGINAL


def test_every_rewind_has_words() -> None:
    words = [wording.rewind(name) for name in options("rewind")]
    assert all(words)
    assert len({*words}) == len(words)
    assert wording.rewind("mine") == "rewound mine"


def test_a_check_of_ones_own_is_called_by_its_name() -> None:
    assert wording.change("my_roll") == "my roll"
    assert wording.question("my_roll") == "does it depend on what my_roll changes?"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (wording.percent(0.98), "98%"),
        (wording.percent(0.995), "99.5%"),
        (wording.percent(0.1 + 0.2), "30%"),
        (wording.percent(None), ""),
        (wording.points(-0.276), "\N{MINUS SIGN}0.28"),
        (wording.points(1), "+1.00"),
        (wording.points(-0.001), "+0.00"),
        (wording.points(None), ""),
        (wording.interval((-1.0, 0.5)), "[\N{MINUS SIGN}1.00, +0.50]"),
        (wording.probability(0.0004), "< 0.001"),
        (wording.probability(0.0321), "0.032"),
        (wording.spread(98.056, 0.277), "98.06 ±0.28"),
        (wording.spread(98.056, None), "98.06"),
        (wording.count(1, "seed"), "1 seed"),
        (wording.count(2000, "seed"), "2,000 seeds"),
        (wording.listed([]), ""),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
        (wording.settings({"training.lr": 0.1}), "lr=0.1"),
    ],
)
def test_numbers(found: str, expected: str) -> None:
    assert found == expected
