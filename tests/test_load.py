"""A finished run read back: the network that was judged, exactly."""

from pathlib import Path

import pytest
from conftest import Run
from omegaconf import DictConfig

from sanity.errors import StoreError
from sanity.layers import prunable_weights
from sanity.load import load
from sanity.parts import build
from sanity.stages.data import Data
from sanity.training.loop import evaluate


def test_a_loaded_ticket_has_the_accuracy_of_its_record(run: Run) -> None:
    record = run("pruner=lt", "training.epochs=3")
    ticket = load(record["directory"] / "record.json")
    for name, weight in prunable_weights(ticket.network).items():
        assert bool((weight[~ticket.mask[name]] == 0).all())
    parts = build(DictConfig(record["config"]))
    device = next(ticket.network.parameters()).device
    data = Data(parts.dataset, Path(record["config"]["data_dir"]), 0, parts.check, device)
    _, accuracy = evaluate(ticket.network, data.clean.test, parts.recipe)
    assert accuracy == record["metrics"]["test_accuracy"]
    assert ticket.record["ticket"] == record["ticket"]


def test_what_a_run_did_not_train_cannot_be_loaded(run: Run) -> None:
    record = run("pruner=random", "until=prune")
    with pytest.raises(StoreError, match="no stage train_ticket"):
        load(record["directory"] / "record.json")
