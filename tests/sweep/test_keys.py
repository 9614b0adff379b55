"""The keys planned for a run are those that the run records: every pruner, check, ratio, rewind."""

from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Run
from options import options
from planning import plan_of
from safetensors.torch import load_file, save_file

KINDS = [
    *([f"pruner={name}"] for name in options("pruner") if name not in ("from_checkpoint", "dense")),
    ["pruner=dense", "ratio.sparsity=0"],
    *([f"sanity_check={name}"] for name in options("sanity_check")),
    *(["pruner=random", f"ratio={name}"] for name in options("ratio")),
    *([f"rewind={name}"] for name in options("rewind")),
    ["pruner=snip", "sanity_check=corrupted_data"],
    ["pruner=grasp", "sanity_check=half_dataset", "rewind=learning_rate"],
    ["pruner=hybrid", "sanity_check=random_pixels"],
    ["pruner=imp", "sanity_check=random_labels", "rewind=epoch"],
    ["pruner=imp", "sanity_check=reinit", "until=rewind"],
    ["pruner=random", "ratio=like", "ratio.of=lt", "sanity_check=rearrange"],
    ["pruner=dense", "ratio.sparsity=0", "sanity_check=random_labels"],
    ["until=train_dense"],
    ["pruner=synflow", "until=prune", "seed=2"],
    ["dataset.validation_size=20", "pruner=snip"],
]
QUICK = {
    "pruner=imp": ["pruner.rounds=2"],
    "pruner=synflow": ["pruner.iterations=2"],
    "pruner=snip": ["pruner.samples_per_class=2"],
    "pruner=grasp": ["pruner.samples_per_class=2"],
    "rewind=epoch": ["training.epochs=2"],
}


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_run_has_the_keys_that_were_planned(run: Run, kind: list[str]) -> None:
    quick = [text for choice in kind for text in QUICK.get(choice, [])]
    overrides = [*TINY, "training.epochs=1", "allow_dead=true", *kind, *quick]
    (job,) = plan_of(*overrides).jobs
    record = run(*overrides, tiny=False)
    assert recorded(record) == {stage.name: stage.key for stage in job.stages}
    assert not any(stage["reused"] for stage in record["stages"].values())


def test_the_keys_of_a_foreign_mask_are_planned_too(run: Run, tmp_path: Path) -> None:
    dense = run("pruner=dense", "ratio.sparsity=0", "training.epochs=1")
    weights = next(Path(dense["config"]["store_dir"]).glob("train_dense/*/final.safetensors"))
    halved = tmp_path / "halved.safetensors"
    prune_half(weights, halved)
    overrides = [*TINY, "pruner=from_checkpoint", f"pruner.path={halved}", "ratio.sparsity=null"]
    (job,) = plan_of(*overrides).jobs
    record = run(*overrides, tiny=False)
    assert recorded(record) == {stage.name: stage.key for stage in job.stages}


def recorded(record: dict[str, Any]) -> dict[str, str]:
    return {name: stage["key"] for name, stage in record["stages"].items()}


def prune_half(source: Path, target: Path) -> None:
    """Copy a network with every other weight set to 0."""
    tensors = load_file(source)
    for tensor in tensors.values():
        if tensor.dim() > 1:
            tensor.flatten()[::2] = 0
    save_file(tensors, target)
