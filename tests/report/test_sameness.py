"""Arms that are not of one size or of one code are not compared, and every format says why."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import simulated
from rich.console import Console
from simulated import Arm, seeds

from sanity.report.data.questions import Question
from sanity.report.output import as_json, files, terminal
from sanity.report.report import Report, make
from sanity.stats.verdicts import Verdict


def resized(root: Path, arm: Arm, kept: int, **changes: Any) -> None:
    """A run whose ticket keeps so many weights, whatever its sparsity asks for."""
    content = simulated.record(arm, **changes)
    left = kept
    for layer in content["ticket"]["layers"]:
        layer["kept"] = min(left, layer["total"])
        left -= layer["kept"]
    content["ticket"] |= {"kept": kept, "sparsity": 1 - kept / content["ticket"]["total"]}
    name = f"{arm.pruner}_{arm.check}_{arm.seed}"
    simulated.write(root / name, [arm])
    simulated.rewrite(root / name, content)


def unequal(root: Path, kept: int, **arm: Any) -> Report:
    """Three seeds of lt, which keep 952 weights, and an arm that is 32 points worse."""
    simulated.write(root, seeds(3, 0, 0.1, 1))
    for one in seeds(3, -32, 0.1, 2, **arm):
        resized(root, one, kept)
    return make([root])


def only(report: Report, check: str) -> Question:
    (found,) = [one for one in report.questions if one.check == check]
    return found


RANDOM = {"pruner": "random"}
LAYERS = len(simulated.LAYERS)


@pytest.mark.parametrize("arm", [RANDOM, {"check": "rearrange"}])
@pytest.mark.parametrize("kept", [600, 952 - LAYERS - 3, 952 + LAYERS + 3])
def test_arms_of_unequal_size_get_no_verdict(
    arm: dict[str, Any], kept: int, tmp_path: Path
) -> None:
    question = only(unequal(tmp_path, kept, **arm), arm.get("check", "random_ticket"))
    assert question.verdict is Verdict.NONE
    assert question.judgement.why == (
        f"not compared: it keeps {kept} of 47,648 ({1 - kept / 47648:.2%} pruned), "
        "as found 952 of 47,648 (98.00% pruned)"
    )
    assert question.judgement.paired.mean is None, "a difference that means nothing is not shown"


@pytest.mark.parametrize("kept", [952, 952 - LAYERS - 2, 952 + LAYERS + 2])
def test_what_rounding_makes_of_one_size_is_one_size(kept: int, tmp_path: Path) -> None:
    report = unequal(tmp_path, kept, **RANDOM)
    assert only(report, "random_ticket").verdict is Verdict.DEPENDS
    assert not any("gives a sparsity" in note for note in report.notes)


def test_every_format_says_why(tmp_path: Path) -> None:
    report = unequal(tmp_path / "runs", 600, **RANDOM)
    console = Console(record=True, width=400, file=io.StringIO())
    console.print(terminal.render(report))
    printed = console.export_text()
    files.write(report, tmp_path)
    page, text = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    for shown in (printed, page, text):
        assert "not compared: it keeps 600 of 47,648" in shown
        assert "random 98% (98.74% pruned)" in shown, "beside other methods it bears its size"
        assert "\N{MINUS SIGN}32" not in shown
    (verdict,) = as_json.content(report)["verdicts"]
    assert verdict["verdict"] == "no verdict"
    assert verdict["why"].startswith("not compared: it keeps 600")
    assert verdict["effect"] is None
    table = pd.read_csv(tmp_path / "results.csv")
    said = table[table.pruner == "random"].remarks
    assert all("600 are kept instead of 952" in one for one in said)
    assert all("lt 98%, a random ticket: not compared" in one for one in said)
    assert table[table.pruner == "lt"].remarks.isna().all()


def test_a_seed_of_another_size_is_enough(tmp_path: Path) -> None:
    simulated.write(tmp_path, seeds(3, 0, 0.1, 1))
    for one in seeds(3, 0, 0.1, 2, check="rearrange"):
        resized(tmp_path, one, 800 if one.seed == 2 else 952)
    assert only(make([tmp_path]), "rearrange").verdict is Verdict.NONE


def test_tickets_of_other_networks_of_the_same_name_are_not_compared(tmp_path: Path) -> None:
    simulated.write(tmp_path, seeds(3, 0, 0.1, 1))
    for one in seeds(3, 0, 0.1, 2, check="rearrange"):
        content = simulated.record(one)
        content["ticket"]["total"] += 10
        simulated.write(tmp_path / str(one.seed), [one])
        simulated.rewrite(tmp_path / str(one.seed), content)
    assert "47,658" in only(make([tmp_path]), "rearrange").judgement.why


def test_a_negative_control_of_unequal_arms_does_not_hold(tmp_path: Path) -> None:
    for one in seeds(3, 0, 0.05, 1, **RANDOM):
        resized(tmp_path, one, 952)
    for one in seeds(3, 0, 0.05, 2, check="rearrange", **RANDOM):
        resized(tmp_path, one, 500)
    report = make([tmp_path])
    assert [str(one.state) for one in report.controls] == ["still open"]


def identified(root: Path, arm: Arm, **identity: str) -> None:
    simulated.write(root / f"{arm.check}{arm.seed}", [arm])
    simulated.rewrite(root / f"{arm.check}{arm.seed}", simulated.record(arm, identity=identity))


def test_arms_of_other_code_are_not_compared(tmp_path: Path) -> None:
    parts = {"arch": "a", "dataset": "d", "training": "t", "ratio": "r", "rewind": "w"}
    for seed in (0, 1, 2):
        same, other = Arm(seed=seed, accuracy=97.0 + seed), Arm(seed=seed, check="rearrange")
        identified(tmp_path, same, **parts, pruner="old", sanity_check="none")
        identified(tmp_path, other, **parts, pruner="new", sanity_check="rearrange")
    report = make([tmp_path])
    assert only(report, "rearrange").judgement.why == (
        "not compared: the code, files or images behind pruner changed from one to the other"
    )
    for seed in (0, 1, 2):
        content = simulated.record(Arm(seed=seed, check="rearrange"))
        content["identity"] = parts | {"pruner": "old", "sanity_check": "rearrange"}
        path = tmp_path / f"rearrange{seed}"
        simulated.rewrite(path, content)
    assert "not compared" not in only(make([tmp_path]), "rearrange").judgement.why


def test_an_arm_of_which_the_code_changed_between_seeds_is_said(tmp_path: Path) -> None:
    for seed in (0, 1):
        identified(tmp_path, Arm(seed=seed), pruner=f"version {seed}")
    (note,) = make([tmp_path]).notes
    assert "98%, as found: the code, files or images behind pruner changed between" in note


def test_seeds_that_only_one_arm_has_are_counted(tmp_path: Path) -> None:
    arms = [*seeds(5, 0, 0.1, 1), *seeds(3, -3, 0.1, 2, check="rearrange")]
    simulated.write(tmp_path, arms)
    text = json.dumps(files.write(make([tmp_path]), tmp_path).with_name("report.md").read_text())
    assert "3 of 5 seeds have both arms" in text
