"""Numbers that would be wrong stop a run, or are recorded as what they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from torch import nn

from sanity.archs.resnet import ResNet
from sanity.checks.base import Effect
from sanity.checks.rearrange import Rearrange
from sanity.core.errors import CheckError, TrainingError
from sanity.pruners.random import Random
from sanity.pruning import masks
from sanity.pruning.selection import Ties
from sanity.ratios.base import Allocation, kept_share
from sanity.training import loop


def record_of(tmp_path: Path, number: int = 0) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tmp_path / f"run{number}" / "record.json").read_text())
    return content


def test_a_loss_that_is_no_number_stops_with_epoch_step_and_rate(run: Run, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="epoch 0, step 1, learning rate 1e\\+30"):
        run("pruner=random", "training.lr=1e30")
    record = record_of(tmp_path)
    assert record["status"] == "failed"
    assert "the loss became" in record["reason"]
    assert "train_ticket" not in record["stages"]


@pytest.mark.parametrize("what", ["test", "validation"])
def test_so_does_one_that_is_only_evaluated(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    """Batch norm's running mean may overflow where the losses of batches do not."""
    original, calls = loop.evaluate, []

    def evaluate(*arguments: Any) -> tuple[float, float]:
        calls.append(1)
        loss, accuracy = original(*arguments)
        # The ticket's start is judged first, then an epoch's test set, then its validation set.
        bad = len(calls) == (1 if what == "test" else 2)
        return (float("nan") if bad else loss), accuracy

    monkeypatch.setattr(loop, "evaluate", evaluate)
    message = f"the {what} loss became nan after epoch 0, step 3, learning rate 0.05"
    with pytest.raises(TrainingError, match=message):
        run("pruner=random", "dataset.validation_size=30")
    assert message in record_of(tmp_path)["reason"]


def test_a_mask_that_drifts_stops_the_training(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The network puts other weights in their place, as one with noise on them may."""
    original = ResNet.forward

    def forward(self: ResNet, x: torch.Tensor) -> torch.Tensor:
        if self.training and not x.is_meta:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    module.weight = nn.Parameter(module.weight.detach() + 0.01)
        return original(self, x)

    monkeypatch.setattr(ResNet, "forward", forward)
    with pytest.raises(TrainingError, match=r"the mask drifted: \d+ pruned weights of layer \w+"):
        run("pruner=random", "seed=5")
    assert "drifted" in record_of(tmp_path)["reason"]


def test_a_check_that_changes_how_many_weights_are_kept_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def perturb(self: Any, mask: masks.Mask, generator: torch.Generator) -> Any:
        name = next(iter(mask))
        return mask | {name: torch.ones_like(mask[name])}, Effect(1, {"moved": 1})

    monkeypatch.setattr(Rearrange, "perturb", perturb)
    with pytest.raises(CheckError, match=r"sanity_check=rearrange: the mask it gives keeps \d+ "):
        run("pruner=random", "sanity_check=rearrange")


def test_a_mask_of_the_wrong_size_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanity.stages import prune

    def find_mask(pruner: Any, network: Any, blueprint: Any, *rest: Any, **more: Any) -> Any:
        return masks.full(blueprint), Ties()

    monkeypatch.setattr(prune, "find_mask", find_mask)
    with pytest.raises(TrainingError, match="the mask keeps 2516 weights instead of"):
        run("pruner=random")


def test_a_sparsity_that_a_ratio_cannot_give_is_said_and_recorded(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The paper's formula leaves weights out at sparsities that call for nearly all of them."""
    record = run("pruner=random", "ratio=ascend", "ratio.sparsity=0.0", "until=prune")
    ticket = record["ticket"]
    assert ticket["asked"] == 0.0
    assert ticket["kept"] < ticket["total"] - len(ticket["layers"])
    assert "are pruned and not ratio.sparsity=0: " in caplog.text


def test_rounding_is_no_matter(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    record = run("pruner=random", "ratio.sparsity=0.8", "until=prune")
    assert abs(record["ticket"]["kept"] - kept_share(record["ticket"]["total"], 0.8)) <= 10
    assert record["ticket"]["asked"] == 0.8
    assert "cannot meet" not in caplog.text


def test_the_rounds_on_the_way_to_a_sparsity_are_no_matter(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    record = run("pruner=imp", "pruner.rounds=2", "ratio.sparsity=0.8", "until=prune")
    assert set(record["stages"]) >= {"prune_1", "prune"}
    assert "cannot meet" not in caplog.text


def test_an_emptied_layer_is_recorded_and_a_dead_ticket_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sanity.ratios.smart import Smart

    def allocate(self: Any, blueprint: Any, budget: Any) -> Allocation:
        first = blueprint.layers[0].name
        return Allocation({x.name: 0 if x.name == first else x.total for x in blueprint.layers})

    monkeypatch.setattr(Smart, "allocate", allocate)
    monkeypatch.setattr("sanity.experiment.validation._refuse_dead_layers", lambda *_: None)
    with pytest.raises(TrainingError, match="the ticket is dead"):
        run("pruner=random")
    record = record_of(tmp_path)
    assert record["status"] == "failed"
    assert record["ticket"]["layers"][0]["kept"] == 0
    assert set(record["stages"]) == {"prune", "rewind"}


def test_scores_that_are_no_numbers_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def score(self: Any, scoring: Any) -> Any:
        return {name: torch.full_like(w, float("nan")) for name, w in scoring.weights.items()}

    monkeypatch.setattr(Random, "score", score)
    with pytest.raises(TrainingError, match=r"scores of layer .* are NaN or infinite"):
        run("pruner=random")
