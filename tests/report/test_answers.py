"""The sentences on top of a report say what the verdicts say, and no more."""

import io
import json
from pathlib import Path

import simulated
from rich.console import Console
from simulated import Arm, seeds

from sanity.report.output import files, terminal
from sanity.report.output.answers import answers
from sanity.report.report import make


def told(tmp_path: Path, arms: list[Arm], margin: float | None = None) -> list[str]:
    return answers(make([simulated.write(tmp_path, arms)], margin))


def test_a_battery_in_a_sentence_or_two(tmp_path: Path) -> None:
    (text,) = told(tmp_path, simulated.battery())
    said = "lt at 98% on digits resnet8: A random ticket does as well as lt (within 0.5 points)."
    assert text.startswith(said)
    assert "Not needed, within 0.5 points: the positions it keeps." in text
    assert "Needed: its training data (\N{MINUS SIGN}2.45 to \N{MINUS SIGN}3.73 points)." in text
    assert "Still open: lt, new weights (at most " in text
    assert "LR rewound" not in text  # a control


def test_methods_are_put_together_by_what_random_tickets_do(tmp_path: Path) -> None:
    random = seeds(8, 0.0, 0.1, 1, pruner="random", ratio="smart")
    arms = [*random]
    for chance, (pruner, effect) in enumerate(
        {"snip": 0.0, "grasp": 0.02, "lt": -3.0, "magnitude": 2.0}.items(), 2
    ):
        arms += seeds(8, effect, 0.1, chance, pruner=pruner)
    (text,) = told(tmp_path, arms)
    assert "A random ticket does as well as snip and grasp (within 0.5 points)" in text
    assert ", better than lt by 2.9 to 3.1 points" in text
    assert " and worse than magnitude by 1.9 to 2.1 points" in text


def test_of_several_methods_each_is_named(tmp_path: Path) -> None:
    arms = [*seeds(8, 0, 0.1, 1), *seeds(8, 0, 0.1, 2, check="rearrange")]
    arms += seeds(8, 0, 0.1, 3, pruner="snip")
    arms += seeds(8, -4, 0.1, 4, pruner="snip", check="reinit")
    (text,) = told(tmp_path, arms)
    assert text == (
        "At 98% on digits resnet8: Not needed, within 0.5 points: the positions it keeps (lt). "
        "Needed: its initial weights (snip by 3.8 to 4.1 points)."
    )


def test_what_is_open_is_bounded_and_nothing_is_claimed_of_it(tmp_path: Path) -> None:
    arms = [
        *seeds(5, 0, 2, 1),
        *seeds(5, 0, 2, 2, check="reinit"),
        *seeds(5, 0, 2, 3, check="rearrange"),
    ]
    arms += seeds(5, 0, 2, 4, check="shuffle_weights")
    (text,) = told(tmp_path, arms)
    assert text.startswith("lt at 98% on digits resnet8: Still open: all questions (each at most ")
    assert "points either way)." in text
    assert "eeded" not in text


def test_without_a_verdict_nothing_is_said_but_that(tmp_path: Path) -> None:
    (text,) = told(tmp_path / "one", [Arm(), Arm(check="rearrange")])
    assert text == "lt at 98% on digits resnet8: No verdict: 1 question."
    assert told(tmp_path / "none", [Arm()])[0].startswith("Nothing was compared")
    random = [*seeds(4, 0, 0.1, 1, pruner="random", ratio="smart")]
    random += seeds(4, 0, 0.1, 2, pruner="random", ratio="smart", check="rearrange")
    assert told(tmp_path / "control", random) == ["Nothing but controls was compared."]


def test_contexts_have_a_paragraph_each_up_to_a_handful(tmp_path: Path) -> None:
    arms = []
    for number in range(8):
        sparsity = 0.5 + number / 20
        arms += [*seeds(4, 0, 0.1, 2 * number, sparsity=sparsity)]
        arms += seeds(4, 0, 0.1, 2 * number + 1, sparsity=sparsity, check="rearrange")
    found = told(tmp_path, arms)
    assert len(found) == 7
    assert found[-1] == "And 2 more below."


def test_two_kinds_of_random_tickets_are_told_apart(tmp_path: Path) -> None:
    arms = [*seeds(8, 0, 0.1, 1), *seeds(8, 0, 0.1, 2, pruner="random", ratio="smart")]
    place = simulated.write(tmp_path / "one", arms)
    other = seeds(8, -4, 0.1, 3, pruner="random", ratio="smart")
    for number, arm in enumerate(other):
        content = simulated.record(arm)
        content["config"]["pruner"]["spread"] = 2
        directory = place / f"other_{number}"
        directory.mkdir()
        (directory / "record.json").write_text(json.dumps(content))
    (text,) = answers(make([place]))
    assert "as well as lt (within 0.5 points)." in text
    assert "worse than lt by 3.9 to 4.2 points." in text
    assert text.count("A random ticket: random") == 2


def test_a_bound_is_never_rounded_down(tmp_path: Path) -> None:
    arms = [*seeds(5, 0, 1, 1), *seeds(5, 0, 1, 2, check="reinit")]
    report = make([simulated.write(tmp_path, arms)])
    (text,), (question,) = answers(report), report.questions
    said = float(text.split("at most ")[1].split(" ")[0])
    widest = max(map(abs, question.judgement.paired.interval or ()))
    assert widest <= said < widest + 0.1


def test_a_control_that_fails_stands_before_any_answer(tmp_path: Path) -> None:
    arms = [*seeds(6, 0, 0.1, 1), *seeds(6, 0, 0.1, 2, check="rearrange")]
    arms += seeds(6, 0, 0.1, 3, pruner="random", ratio="smart")
    arms += seeds(6, -5, 0.1, 4, pruner="random", ratio="smart", check="rearrange")
    report = make([simulated.write(tmp_path / "runs", arms)])
    page = files.write(report, tmp_path / "out")
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.render(report))
    assert isinstance(console.file, io.StringIO)
    for text in (
        console.file.getvalue(),
        page.read_text(),
        page.with_name("report.md").read_text(),
    ):
        assert text.index("control FAILS") < text.index("Not needed, within")
