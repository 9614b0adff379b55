"""The whole pipeline on the real CIFAR-10, where SANITY_DATA_DIR has it."""

import os
from pathlib import Path

import pytest
from conftest import Run

# Read before the fixtures point the variable elsewhere.
DATA_DIR = Path(os.environ.get("SANITY_DATA_DIR", "data")).absolute()
MISSING = not (DATA_DIR / "cifar10" / "train.safetensors").exists()
REQUIRED = bool(os.environ.get("SANITY_REQUIRE_CIFAR10"))


@pytest.mark.slow
@pytest.mark.real_cifar10
@pytest.mark.skipif(MISSING and not REQUIRED, reason=f"no cifar10 in {DATA_DIR}")
def test_a_hybrid_ticket_learns_real_images(run: Run) -> None:
    record = run(
        "dataset=cifar10",
        "arch=resnet8",
        "arch.widths=[8,16,32]",
        "pruner=hybrid",
        "ratio.sparsity=0.8",
        "training.epochs=2",
        "training.batch_size=16",
        "training.lr=0.05",
        "dataset.limit=4000",
        f"data_dir={DATA_DIR}",
        tiny=False,
    )
    metrics = record["metrics"]
    assert metrics["dense_test_accuracy"] > 25  # 10 is chance
    assert metrics["test_accuracy"] > 25
