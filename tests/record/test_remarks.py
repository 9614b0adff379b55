"""What is remarkable of a run: sizes that were missed, ties that decide, networks that guess."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from rich.console import Console

from sanity.core.errors import TrainingError
from sanity.pruners import magnitude
from sanity.record import remarks, summary
from sanity.record.remarks import Guessing

LAYERS = [{"name": str(number), "total": 500, "kept": 0} for number in range(10)]


def ticket(kept: int, **more: Any) -> dict[str, Any]:
    return {"kept": kept, "total": 5000, "layers": LAYERS, **more}


@pytest.mark.parametrize(("kept", "same"), [(100, True), (90, True), (88, True), (87, False)])
def test_rounding_is_a_weight_a_layer_and_two(kept: int, same: bool) -> None:
    assert remarks.same_size(kept, 100, layers=10) is same
    assert remarks.same_size(100, kept, layers=10) is same
    assert (remarks.of_size(ticket(kept), 0.98) == "") is same


def test_a_size_that_was_missed_is_said_with_both_numbers() -> None:
    said = remarks.of_size(ticket(1500), 0.5)
    assert said == (
        "70.0000% of the weights are pruned and not ratio.sparsity=0.5: 1,500 are kept instead "
        "of 2,500"
    )
    assert remarks.of_size(ticket(1500), None) == "", "a mask that came with its own sparsity"


@pytest.mark.parametrize(
    ("arbitrary", "kept", "told"),
    [(0, 500, False), (5, 500, False), (6, 500, True), (37, 37_000, False), (38, 37_000, True)],
)
def test_a_handful_of_ties_is_not_worth_a_word(arbitrary: int, kept: int, told: bool) -> None:
    said = remarks.of_ties({"tied": 4321, "arbitrary": arbitrary}, kept)
    assert bool(said) is told
    if told:
        assert "4,321 weights have just the score" in said
        assert f"up to {arbitrary:,} of the {kept:,} kept" in said
    assert remarks.of_ties(None, kept) == "", "results of earlier versions do not tell"


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("images", [360, 10_000])
def test_networks_that_guess_are_found_out_and_others_are_not(share: float, images: int) -> None:
    guessing = Guessing(100 * share, images)
    random = np.random.default_rng(0)
    guessed = 100 * random.binomial(images, share, 2000) / images
    found = np.mean([bool(guessing.remark(float(one))) for one in guessed])
    assert found > 0.95
    better = share + 5 * np.sqrt(share * (1 - share) / images)
    learnt = 100 * random.binomial(images, better, 2000) / images
    assert np.mean([bool(guessing.remark(float(one))) for one in learnt]) < 0.05


def record(classes: Any, **data: Any) -> dict[str, Any]:
    return {"config": {"dataset": {"num_classes": classes}}, "data": data}


def test_the_largest_class_is_what_guessing_gives() -> None:
    skewed = remarks.guessing(record(10, test_images=100, largest_class=90))
    assert skewed == Guessing(90.0, 100)
    assert skewed.remark(92.0) == "no better than guessing (90%)"
    assert skewed.remark(99.0) == ""
    even = remarks.guessing(record(4, test_images=80, largest_class=20))
    assert even == Guessing(25.0, 80)


def test_without_its_size_a_fifth_more_than_guessing_is_the_limit() -> None:
    old = remarks.guessing({"config": {"dataset": {"num_classes": 10}}})
    assert old is not None
    assert (bool(old.remark(12.0)), bool(old.remark(12.01)), bool(old.remark(None))) == (1, 0, 0)
    for classes in (None, "10", True, 1):
        assert remarks.guessing(record(classes)) is None
    assert remarks.guessing(record(10, test_images=5, largest_class=9)) == Guessing(10.0)


def shown(content: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=400)
    console.print(summary.result(content))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_a_run_tells_that_it_guesses_and_of_what(run: Run) -> None:
    found = run("pruner=random", "training.lr=1e-6")
    assert found["data"]["test_images"] > found["data"]["largest_class"] > 0
    assert "no better than guessing" in shown(found)
    better = found | {"metrics": found["metrics"] | {"test_accuracy": 60.0}}
    assert "no better than guessing" not in shown(better)


def test_ties_reach_the_record_and_the_summary(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run("pruner=magnitude", "until=prune")["ticket"]["ties"] == {"tied": 0, "arbitrary": 0}
    assert "equal scores" not in caplog.text
    real = magnitude.Magnitude.score

    def coarse(self: Any, scoring: Any) -> dict[str, torch.Tensor]:
        scores = real(self, scoring)
        return {name: (score > score.median()).float() for name, score in scores.items()}

    monkeypatch.setattr(magnitude.Magnitude, "score", coarse)
    found = run("pruner=magnitude", "until=prune", "seed=1")
    ties = found["ticket"]["ties"]
    assert ties["arbitrary"] > 100
    assert ties["tied"] > ties["arbitrary"]
    assert f"up to {ties['arbitrary']:,} of the {found['ticket']['kept']:,} kept" in shown(found)
    assert "equal scores" in caplog.text
    caplog.clear()
    again = run("pruner=magnitude", "until=prune", "seed=1")
    assert again["stages"]["prune"]["reused"]
    assert "equal scores" in caplog.text, "a reused mask is no better"

    def zeros(self: Any, scoring: Any) -> dict[str, torch.Tensor]:
        return {name: 0 * score for name, score in real(self, scoring).items()}

    monkeypatch.setattr(magnitude.Magnitude, "score", zeros)
    with pytest.raises(TrainingError, match="only the order of the weights would decide"):
        run("pruner=magnitude", "until=prune", "seed=2")
