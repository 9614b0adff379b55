"""Every registered check on every registered pruner, through the whole pipeline.

A combination either works and measurably did what it says, or is refused before any stage.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from hydra.utils import get_class
from options import load_option, options

from sanity.core.errors import ConfigError
from sanity.pruning.ticket import expand
from sanity.stages.context import Context
from sanity.store import Store
from sanity.training.engines.base import Engine
from sanity.training.loop import Splits

PRUNERS = [name for name in options("pruner") if name != "from_checkpoint"]
CHECKS = [name for name in options("sanity_check") if name != "none"]
SETTINGS = {
    "imp": ["pruner.rounds=2"],
    "synflow": ["pruner.iterations=5"],
    "snip": ["pruner.samples_per_class=2"],
    "grasp": ["pruner.samples_per_class=4", "dataset.limit=320", "seed=3", "allow_dead=true"],
    "dense": [],
}


def kind(group: str, option: str) -> Any:
    return get_class(load_option(group, option)["_target_"])


def is_refused(pruner: str, check: str) -> bool:
    """A restatement of what makes no sense, by what the parts say of themselves."""
    method, target = kind("pruner", pruner), kind("sanity_check", check).target
    if target == "data":
        return not (method.needs_data or method.needs_trained_weights or not method.prunes)
    return not method.prunes or (target == "scores" and method.scores_are_random)


def arguments(pruner: str, check: str) -> list[str]:
    own = ["ratio.sparsity=0.0"] if pruner == "dense" else []
    # Inverted scores keep the least useful weights, which may leave no path: that is their point.
    dead = ["allow_dead=true"] if check == "invert" else []
    chosen = [f"pruner={pruner}", f"sanity_check={check}", "training.epochs=1"]
    return [*chosen, *SETTINGS.get(pruner, []), *own, *dead]


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_makes_a_ticket(run: Run, pruner: str) -> None:
    record = run(*arguments(pruner, "none"))
    assert record["status"] == "completed"
    assert record["choices"]["pruner"] == pruner
    assert 0 <= record["metrics"]["test_accuracy"] <= 100
    assert sum(layer["kept"] for layer in record["ticket"]["layers"]) == record["ticket"]["kept"]
    wanted = 0.0 if pruner == "dense" else 0.8
    assert record["ticket"]["sparsity"] == pytest.approx(wanted, abs=0.005)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_check_happens_or_is_refused_at_once(run: Run, pruner: str, check: str) -> None:
    if is_refused(pruner, check):
        with pytest.raises(ConfigError, match=rf"^sanity_check={check}: .+"):
            run(*arguments(pruner, check))
        return
    checked, plain = run(*arguments(pruner, check)), run(*arguments(pruner, "none"))
    assert checked["check"]["name"] == check
    assert next(iter(checked["check"]["effect"].values())) > 0  # what changed comes first
    if pruner == "dense":
        assert keys(checked)["train_dense"] != keys(plain)["train_dense"]
        return
    assert checked["ticket"]["kept"] == plain["ticket"]["kept"]
    if check in ("rearrange", "shuffle_weights", "reinit"):
        assert checked["ticket"]["layers"] == plain["ticket"]["layers"]
        _compare_tickets(check, checked, plain)


def _compare_tickets(check: str, checked: dict[str, Any], plain: dict[str, Any]) -> None:
    """What a check of masks or weights may change, and what it must leave alone."""
    masks = [entry(record, "prune", "mask") for record in (checked, plain)]
    starts = [expand(entry(record, "rewind", "weights"))[0] for record in (checked, plain)]
    moved = 0
    for layer in masks[0]:
        same_mask = torch.equal(masks[0][layer], masks[1][layer])
        mine, other = (start[f"{layer}.weight"] for start in starts)
        whole = bool(masks[1][layer].all())
        if check == "rearrange":
            assert same_mask == whole
        else:
            assert same_mask
        if check == "shuffle_weights":
            assert torch.equal(mine.flatten().sort().values, other.flatten().sort().values)
        moved += not torch.equal(mine, other)
    assert moved > len(masks[0]) / 2  # a layer with one survivor has nothing to shuffle
    if check != "reinit":
        prunable = {f"{layer}.weight" for layer in masks[0]}
        for name in starts[0].keys() - prunable:
            assert torch.equal(starts[0][name], starts[1][name])


def entry(record: dict[str, Any], stage: str, name: str) -> dict[str, torch.Tensor]:
    store = Store(Path(record["config"]["store_dir"]))
    found = store.get(stage, record["stages"][stage]["key"])
    assert found is not None
    return found.tensors(name)


def keys(record: dict[str, Any]) -> dict[str, str]:
    return {name: stage["key"] for name, stage in record["stages"].items()}


@pytest.mark.parametrize("pruner", ["lt", "snip", "imp"])
def test_corruption_reaches_pruning_and_nothing_else(
    run: Run, pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every training run is watched: which images it learns from, and which judge it."""
    seen: dict[str, Splits] = {}

    train = Context.train

    def watch(
        self: Context, name: str, engine: Engine, splits: Splits, *more: Any, **how: Any
    ) -> Any:
        seen[name] = splits
        return train(self, name, engine, splits, *more, **how)

    monkeypatch.setattr(Context, "train", watch)
    run(*arguments(pruner, "none"), "seed=7")
    clean = seen.pop("train_ticket")
    seen.clear()
    run(*arguments(pruner, "corrupted_data"), "seed=7")
    for name, splits in seen.items():
        corrupted = name in ("train_dense", "train_ticket_1")
        assert torch.equal(splits.train.labels, clean.train.labels) != corrupted, name
        assert torch.equal(splits.train.pixels, clean.train.pixels) != corrupted, name
        assert torch.equal(splits.test.labels, clean.test.labels)
        assert torch.equal(splits.test.pixels, clean.test.pixels)
    expected = {"lt": 2, "snip": 1, "imp": 3}
    assert len(seen) == expected[pruner]
