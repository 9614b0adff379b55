"""Tickets of several runs, executed together: a trainer gets all of them at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from conftest import TINY, Compose, Run
from resuming import assert_same

from sanity.core.errors import TrainingError
from sanity.experiment.experiment import build
from sanity.record.record import Record
from sanity.stages.chain import chain
from sanity.stages.context import Context
from sanity.stages.execute import execute
from sanity.stages.together import Outcome, Ready, execute_together, in_turn
from sanity.store import Entry, Store
from sanity.training.loop import Training

SMALL = (*TINY, "pruner=snip", "training.epochs=2", "dataset.crop_padding=1")


def ready(configure: Compose, directory: Path, *overrides: str) -> Ready:
    """The last stage of a run, all before it done."""
    directory.mkdir()
    cfg = configure(*SMALL, *overrides)
    experiment = build(cfg)
    store = Store(Path(cfg.store_dir))
    store.open()
    *before, last = chain(experiment)
    record = Record(directory, {}, {}, None)
    context = Context(experiment, store, torch.device("cpu"), record)
    for stage in before:
        execute(stage, context)
    return last, context


def weights(entry: Entry) -> dict[str, torch.Tensor]:
    return dict(entry.tensors("final"))


def test_tickets_of_one_workload_are_trained_together_as_each_would_be_alone(
    configure: Compose, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(3)
    tickets = [ready(configure, tmp_path / f"{seed}", f"seed={seed}") for seed in seeds]
    assert len({context.experiment.workload for _, context in tickets}) == 1
    given: list[int] = []

    def backwards(trainings: Sequence[Training]) -> list[Outcome]:
        given.append(len(trainings))
        return in_turn(trainings[::-1])[::-1]

    found = execute_together(tickets, backwards)
    assert given == [3]
    assert [entry.key for entry in found] == [stage.key for stage, _ in tickets]
    assert [entry.reused for entry in found] == [False] * 3
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "another_store"))
    for seed, (stage, context), together in zip(seeds, tickets, found, strict=True):
        assert context.record.content["stages"][stage.name]["key"] == together.key
        run(*SMALL, f"seed={seed}", tiny=False)
        alone = Store(tmp_path / "another_store").get(stage.kind, stage.key)
        assert alone is not None
        assert_same(weights(together), weights(alone))


def test_what_is_there_already_is_not_trained_again(configure: Compose, tmp_path: Path) -> None:
    tickets = [ready(configure, tmp_path / f"{seed}", f"seed={seed}") for seed in range(3)]
    execute(*tickets[1])
    given: list[int] = []

    def watched(trainings: Sequence[Training]) -> list[Outcome]:
        given.append(len(trainings))
        return in_turn(trainings)

    assert [entry.reused for entry in execute_together(tickets, watched)] == [False, True, False]
    assert [entry.reused for entry in execute_together(tickets, watched)] == [True, True, True]
    assert given == [2]


def test_where_one_fails_the_others_are_stored(configure: Compose, tmp_path: Path) -> None:
    tickets = [ready(configure, tmp_path / f"{seed}", f"seed={seed}") for seed in range(2)]
    tickets.insert(1, ready(configure, tmp_path / "hot", "seed=2", "training.lr=1e30"))
    with pytest.raises(TrainingError, match=r"lower training\.lr"):
        execute_together(tickets)
    there = [context.store.get(stage.kind, stage.key) is not None for stage, context in tickets]
    assert there == [True, False, True]
