"""The questions a set of runs asks, their answers, and the controls among them."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import simulated
from simulated import Arm, seeds

from sanity.ratios.base import sparsity_of
from sanity.report.data.controls import State, state
from sanity.report.data.questions import Question
from sanity.report.report import Report, make
from sanity.stats.verdicts import Verdict


def report_of(tmp_path: Path, arms: list[Arm], margin: float | None = None) -> Report:
    return make([simulated.write(tmp_path, arms)], margin)


def answers(report: Report) -> dict[tuple[str, str], Verdict]:
    return {(one.cell.method, one.check): one.verdict for one in report.questions}


FINE: dict[str, Any] = {"pruner": "lt", "rewind": "learning_rate", "epoch": 0.75}


def test_a_battery_is_answered(tmp_path: Path) -> None:
    report = report_of(tmp_path, simulated.battery())
    assert answers(report) == {
        ("lt, from init", "corrupted_data"): Verdict.DEPENDS,
        ("lt, from init", "rearrange"): Verdict.INDEPENDENT,
        ("lt, from init", "reinit"): Verdict.UNDECIDED,
        ("lt, from init", "random_ticket"): Verdict.INDEPENDENT,
        ("random", "rearrange"): Verdict.INDEPENDENT,
        ("lt, LR rewound", "shuffle_weights"): Verdict.DEPENDS,
    }
    assert state(report.questions) is State.HOLDS
    (line,) = report.warnings
    assert re.fullmatch(
        r"Controls as expected: random 98%, rearranged \S+ \(does not depend\); "
        r"lt, LR rewound 98%, shuffled weights \S+ \(depends\)\.",
        line,
    )


def test_a_cells_checks_are_corrected_together_or_all_of_the_report(tmp_path: Path) -> None:
    report = report_of(tmp_path, simulated.battery())

    def p(report: Report) -> float:
        wanted = ("random", "rearrange")
        (one,) = [q for q in report.questions if (q.cell.method, q.check) == wanted]
        assert one.judgement.p_equivalent is not None
        return one.judgement.p_equivalent

    alone = p(report)
    stated = [dataclasses.replace(run.criteria, family="report") for run in report.runs[:1]]
    assert stated[0].family == "report"
    from sanity.report.data.questions import ask

    together = ask(report.cells, stated[0])
    (one,) = [q for q in together if (q.cell.method, q.check) == ("random", "rearrange")]
    assert one.judgement.p_equivalent is not None
    assert one.judgement.p_equivalent > alone


def test_a_random_ticket_is_compared_at_the_same_sparsity_and_network_only(tmp_path: Path) -> None:
    arms = [
        *seeds(3, 0, 0.1, 1),
        *seeds(3, 0, 0.1, 2, sparsity=0.9),
        *seeds(3, 0, 0.1, 3, pruner="random"),
        *seeds(3, 0, 0.1, 4, pruner="random", ratio="uniform", sparsity=0.9),
        *seeds(3, 0, 0.1, 5, arch="vgg11"),
    ]
    found = [one for one in report_of(tmp_path, arms).questions if one.check == "random_ticket"]
    assert [one.cell.label for one in found] == ["lt 98%"]
    assert found[0].cell.context.arch == "resnet8"


def control(report: Report, kind: str) -> State:
    (found,) = [one.state for one in report.controls if one.kind == kind]
    return found


@pytest.mark.parametrize(
    ("effect", "spread", "expected"),
    [(0.0, 0.05, State.HOLDS), (-3.0, 0.2, State.FAILS), (0.0, 2.0, State.OPEN)],
)
def test_the_negative_control(
    effect: float, spread: float, expected: State, tmp_path: Path
) -> None:
    arms = [
        *seeds(4, 0, spread, 1, pruner="random"),
        *seeds(4, effect, spread, 3, pruner="random", check="rearrange"),
    ]
    report = report_of(tmp_path, arms)
    assert control(report, "negative") is expected
    assert state(report.questions) is (State.FAILS if expected is State.FAILS else State.OPEN)
    assert "No positive control among these runs" in report.warnings[-1]
    if expected is State.FAILS:
        assert report.warnings[0].startswith("The negative control FAILS: random 98%, rearranged")
        assert "Do not trust the verdicts" in report.warnings[0]


@pytest.mark.parametrize(
    ("effect", "spread", "expected"),
    [(-9.0, 0.2, State.HOLDS), (0.0, 0.05, State.FAILS), (2.0, 0.2, State.FAILS)],
)
def test_the_positive_control(
    effect: float, spread: float, expected: State, tmp_path: Path
) -> None:
    arms = [
        *seeds(4, 0, spread, 1, **FINE),
        *seeds(4, effect, spread, 2, check="shuffle_weights", **FINE),
    ]
    assert control(report_of(tmp_path, arms), "positive") is expected


def test_a_ticket_with_the_whole_schedule_ahead_is_a_question_and_no_control(
    tmp_path: Path,
) -> None:
    whole = {**FINE, "epoch": 0}
    arms = [*seeds(2, 0, 0.1, 1, **whole), *seeds(2, 0, 0.1, 2, check="shuffle_weights", **whole)]
    report = report_of(tmp_path, arms)
    assert len(report.questions) == 1
    assert report.controls == []


def test_one_seed_gives_no_verdict_and_says_so(tmp_path: Path) -> None:
    report = report_of(tmp_path, [Arm(), Arm(check="rearrange")])
    (one,) = report.questions
    assert one.verdict is Verdict.NONE
    assert "needs at least 2" in one.judgement.why


def test_half_finished_cells_ask_what_they_can(tmp_path: Path) -> None:
    arms = [
        Arm(check="rearrange", seed=0),  # its original is still to come
        *seeds(2, 0, 0.1, pruner="snip"),
        Arm(pruner="snip", check="rearrange", accuracy=None),
    ]
    found: list[Question] = list(report_of(tmp_path, arms).questions)
    assert [(one.cell.method, one.verdict) for one in found] == [("snip", Verdict.NONE)]


def test_the_strictest_of_several_margins_counts_and_is_said(tmp_path: Path) -> None:
    content = simulated.record(Arm(seed=1))
    content["config"]["verdict"] = {"margin": 0.2, "alpha": 0.1, "family": "report"}
    simulated.write(tmp_path / "a", [Arm(seed=0)])
    simulated.write(tmp_path / "b", [Arm(seed=1)])
    simulated.rewrite(tmp_path / "b", content)
    report = make([tmp_path])
    assert (report.criteria.margin, report.criteria.alpha) == (0.2, 0.05)
    assert report.criteria.family == "report"
    assert "the smallest margin and alpha count" in report.notes[0]


def test_a_margin_chosen_afterwards_is_said(tmp_path: Path) -> None:
    report = report_of(tmp_path, simulated.battery(), margin=2.0)
    assert report.criteria.margin == 2.0
    assert "chosen for this report, after the runs: they state 0.5" in report.notes[0]
    assert answers(report)[("lt, from init", "reinit")] is Verdict.INDEPENDENT


def test_records_without_a_margin_and_other_versions_are_said(tmp_path: Path) -> None:
    simulated.write(tmp_path / "a", [Arm(seed=0)])
    simulated.write(tmp_path / "b", [Arm(seed=1)])
    content = simulated.record(Arm(seed=1), versions={"torch": "9.9"})
    del content["config"]["verdict"]
    simulated.rewrite(tmp_path / "b", content)
    notes = make([tmp_path]).notes
    assert any("state no margin" in note for note in notes)
    assert any("torch 2.14.1 and 9.9" in note for note in notes)


def test_a_ticket_that_guesses_depends_on_nothing_that_could_be_found(tmp_path: Path) -> None:
    arms = [
        Arm(seed=s, check=c, accuracy=10.0 + s / 9) for s in range(4) for c in ("none", "invert")
    ]
    simulated.write(tmp_path, arms)
    for path in tmp_path.rglob("record.json"):
        content = json.loads(path.read_text())
        content["config"]["dataset"]["num_classes"] = 10
        path.write_text(json.dumps(content))
    (one,) = make([tmp_path]).questions
    assert one.verdict is Verdict.NONE
    assert one.judgement.why == "as found it is no better than guessing (10.17%)"


@pytest.mark.parametrize("classes", [None, 0, 1, "ten", [10]])
def test_where_guessing_is_not_known_verdicts_are_given(classes: Any, tmp_path: Path) -> None:
    simulated.write(tmp_path, [*seeds(3, 0, 0.1, 1), *seeds(3, -3, 0.1, 2, check="invert")])
    for path in tmp_path.rglob("record.json"):
        content = json.loads(path.read_text())
        content["config"]["dataset"]["num_classes"] = classes
        path.write_text(json.dumps(content))
    (one,) = make([tmp_path]).questions
    assert one.verdict is Verdict.DEPENDS


def test_controls_tell_of_their_own_network_only(tmp_path: Path) -> None:
    arms = [
        *simulated.battery(),
        *seeds(3, 0, 0.1, 1, arch="vgg11"),
        *seeds(3, 0, 0.1, 2, arch="vgg11", check="rearrange"),
    ]
    report = report_of(tmp_path, arms)
    assert state(report.questions) is State.OPEN
    (warning,) = report.warnings
    assert warning.startswith("No negative and positive control of digits vgg11 among these runs")


@pytest.mark.parametrize(
    "values",
    [
        *({"epoch": epoch} for epoch in (1, 0.05, 0.4, "late", float("inf"))),
        {"pruner": "snip"},
    ],
)
def test_what_has_much_of_the_schedule_ahead_or_another_pruner_is_no_control(
    values: dict[str, Any], tmp_path: Path
) -> None:
    arm: dict[str, Any] = {**FINE, **values}
    arms = [*seeds(2, 0, 0.1, 1, **arm), *seeds(2, 0, 0.1, 2, check="shuffle_weights", **arm)]
    assert report_of(tmp_path, arms).controls == []


def test_fine_tuned_tickets_that_no_check_acts_on_are_methods(tmp_path: Path) -> None:
    report = report_of(tmp_path, [*seeds(2, 0, 0.1, **FINE), *seeds(2, 0, 0.1, pruner="random")])
    assert [cell.method for cell in report.methods] == ["lt", "random"]
    assert [one.check for one in report.questions] == ["random_ticket"]


def test_of_several_random_tickets_each_is_asked_about(tmp_path: Path) -> None:
    simulated.write(tmp_path / "lt", seeds(2, 0, 0.1, 1))
    for linear in (0.3, 0.5):
        root = tmp_path / str(linear)
        for number, arm in enumerate(seeds(2, 0, 0.1, 2, pruner="random")):
            content = simulated.record(arm)
            content["config"]["ratio"]["linear"] = linear
            simulated.write(root / str(number), [arm])
            simulated.rewrite(root / str(number), content)
    labels = [one.label for one in make([tmp_path]).questions]
    assert labels == [
        "a random ticket: random (linear=0.3)",
        "a random ticket: random (linear=0.5)",
    ]


def renamed(root: Path, group: str, name: str, target: str, arms: list[Arm]) -> None:
    """Runs whose option is called ``name`` and names the class ``target``."""
    for arm in arms:
        content = simulated.record(arm)
        content["choices"][group] = name
        content["config"][group]["_target_"] = target
        path = root / f"{name}{arm.check}{arm.seed}"
        simulated.write(path, [arm])
        simulated.rewrite(path, content)


def test_a_random_ticket_is_one_by_its_class_and_not_by_its_name(tmp_path: Path) -> None:
    simulated.write(tmp_path / "a", seeds(3, 0, 0.1, 1))
    arms = seeds(3, 0, 0.1, 3, pruner="random")
    renamed(tmp_path / "a", "pruner", "chance", "sanity.pruners.random.Random", arms)
    assert [one.check for one in make([tmp_path / "a"]).questions] == ["random_ticket"]
    simulated.write(tmp_path / "b", seeds(3, 0, 0.1, 1))
    renamed(tmp_path / "b", "pruner", "random", "mine.Random", arms)
    assert make([tmp_path / "b"]).questions == ()


def test_a_control_is_one_by_its_classes_too(tmp_path: Path) -> None:
    arms = [
        *seeds(3, 0, 0.05, 1, pruner="random"),
        *seeds(3, 0, 0.05, 2, pruner="random", check="rearrange"),
    ]
    simulated.write(tmp_path / "a", arms[:3])
    renamed(tmp_path / "a", "sanity_check", "rearrange", "mine.Rearrange", arms[3:])
    (question,) = make([tmp_path / "a"]).questions
    assert question.control == ""
    simulated.write(tmp_path / "b", arms)
    (question,) = make([tmp_path / "b"]).questions
    assert question.control == "negative"


def from_files(root: Path, sizes: tuple[int, ...], *, controls: str = "t_{seed}.pth") -> Report:
    """Tickets from a file a seed, of so many weights, and random ones as sparse as ``controls``."""
    arms = [
        *seeds(len(sizes), 0, 0.1, 1, pruner="from_checkpoint"),
        *seeds(len(sizes), -3, 0.1, 2, pruner="from_checkpoint", check="rearrange"),
        *seeds(len(sizes), -2, 0.1, 3, pruner="random"),
        *seeds(len(sizes), -2, 0.1, 4, pruner="random", check="rearrange"),
    ]
    for path in simulated.write(root, arms).glob("*/record.json"):
        content = json.loads(path.read_text())
        ticket, is_random = content["ticket"], content["choices"]["pruner"] == "random"
        kept = sizes[content["seed"]] - (2 if is_random else 0)  # a layer-wise ratio rounds down
        ticket["layers"][2]["kept"] += kept - ticket["kept"]
        ticket |= {"kept": kept, "sparsity": 1 - kept / ticket["total"]}
        ticket["asked"] = sparsity_of(sizes[content["seed"]], ticket["total"])
        content["config"]["ratio"]["sparsity"] = controls if is_random else None
        if not is_random:
            content["config"]["pruner"]["path"] = "t_{seed}.pth"
        path.write_text(json.dumps(content))
    return make([root])


def test_tickets_from_files_of_any_size_are_compared_with_random_ones_seed_by_seed(
    tmp_path: Path,
) -> None:
    report = from_files(tmp_path, (900, 1400, 950, 1200, 1000))
    assert [cell.label for cell in report.cells] == ["from_checkpoint 97.71%", "random 97.71%"]
    assert answers(report) == {
        ("from_checkpoint", "rearrange"): Verdict.DEPENDS,
        ("from_checkpoint", "random_ticket"): Verdict.DEPENDS,
        ("random", "rearrange"): Verdict.INDEPENDENT,
    }
    assert all(len(one.judgement.paired.differences) == 5 for one in report.questions)


def test_random_tickets_of_another_size_are_none_of_a_file(tmp_path: Path) -> None:
    report = from_files(tmp_path, (900, 1400, 950))
    for path in tmp_path.glob("*random_none_s2/record.json"):
        content = json.loads(path.read_text())
        content["ticket"]["kept"] += 100
        path.write_text(json.dumps(content))
    assert ("from_checkpoint", "random_ticket") in answers(report)
    assert ("from_checkpoint", "random_ticket") not in answers(make([tmp_path]))


def test_files_of_several_tickets_are_several_methods(tmp_path: Path) -> None:
    for name in ("a", "b"):
        from_files(tmp_path / name, (900, 1400), controls=f"{name}.pth")
    labels = [cell.label for cell in make([tmp_path]).cells if cell.choices["pruner"] == "random"]
    assert labels == ["random (sparsity=a.pth) 97.58%", "random (sparsity=b.pth) 97.58%"]
