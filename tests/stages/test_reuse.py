"""Which stages a second run takes from the store, and keys that must not move."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, reused

from sanity.core.errors import TrainingError

ALL = {"train_dense", "prune", "rewind", "train_ticket"}
FROZEN = Path(__file__).parent / "frozen_keys.json"


def test_an_identical_run_computes_nothing(run: Run) -> None:
    first, second = run("pruner=lt"), run("pruner=lt")
    assert reused(first) == set()
    assert reused(second) == ALL
    assert second["metrics"] == first["metrics"]
    assert second["ticket"] == first["ticket"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("seed=1", set()),
        ("training.lr=0.01", set()),
        ("arch.depth=14", set()),
        ("dataset.limit=150", set()),
        ("sanity_check=random_labels", set()),
        ("ratio.sparsity=0.8", {"train_dense"}),
        ("ratio=uniform", {"train_dense"}),
        ("pruner=hybrid", {"train_dense"}),
        ("sanity_check=rearrange", {"train_dense"}),
        ("sanity_check=invert", {"train_dense"}),
        ("sanity_check=shuffle_weights", {"train_dense", "prune"}),
        ("rewind=learning_rate", {"train_dense", "prune"}),
        ("rewind=epoch", {"train_dense", "prune"}),
        ("until=rewind", {"train_dense", "prune", "rewind"}),
        ("until=train_dense", {"train_dense"}),
        ("threads=1", ALL),
        ("allow_dead=true", ALL),
        ("checkpoint_every=0", ALL),
        ("checkpoint_every=null", ALL),
    ],
)
def test_what_comes_before_a_change_is_reused(run: Run, changed: str, expected: set[str]) -> None:
    run("pruner=lt", "ratio.sparsity=0.9")
    key = changed.split("=")[0]
    kept = [text for text in ("pruner=lt", "ratio.sparsity=0.9") if text.split("=")[0] != key]
    assert reused(run(*kept, changed)) == expected


def test_data_and_store_directories_are_not_part_of_a_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = run("pruner=snip")
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SANITY_DATA_DIR", str(tmp_path / "elsewhere_too"))
    second = run("pruner=snip")
    assert reused(second) == set()
    assert keys(first) == keys(second)


def test_a_mask_that_depends_on_the_image_size_is_not_shared(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SynFlow sees the size of images, which a network's settings need not mention."""
    small = ("pruner=synflow", "pruner.iterations=2", "until=prune", "arch.image_size=8")
    first = run(*small)
    second = run(*small, "dataset=fashion_mnist", "training=smoke")
    assert keys(first) != keys(second)


def test_layer_wise_counts_are_the_same_for_every_pruner(run: Run) -> None:
    counts = [
        run(f"pruner={pruner}", "ratio=smart", "until=prune", "ratio.sparsity=0.55")["ticket"]
        for pruner in ("random", "magnitude", "grasp", "lt")
    ]
    assert all(ticket["layers"] == counts[0]["layers"] for ticket in counts)


def test_a_network_trained_for_the_rewind_alone_is_clean(run: Run) -> None:
    """The scoring batch is corrupted; the weights that the ticket starts from are not."""
    plain = run("pruner=snip", "pruner.samples_per_class=2", "rewind=learning_rate")
    checked = run(
        "pruner=snip",
        "pruner.samples_per_class=2",
        "rewind=learning_rate",
        "sanity_check=corrupted_data",
    )
    assert reused(checked) == {"train_dense"}
    assert keys(checked)["prune"] != keys(plain)["prune"]


def test_a_failed_run_keeps_what_it_had_found(run: Run, tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        run("pruner=random", "training.lr=1e30", "sanity_check=rearrange")
    record = json.loads((tmp_path / "run0" / "record.json").read_text())
    assert record["ticket"]["kept"] > 0
    assert record["check"]["effect"]["positions_moved"] > 0


def test_going_on_from_trained_weights_meets_other_batches(run: Run) -> None:
    again = run("pruner=lt", "rewind=learning_rate", "training.epochs=1")
    path = Path(again["config"]["store_dir"]) / "train_ticket" / keys(again)["train_ticket"]
    assert json.loads((path / "manifest.json").read_text())["settings"]["shuffle"] == 1


def test_a_grid_trains_the_dense_network_once(run: Run) -> None:
    records = [
        run(f"pruner={pruner}", f"sanity_check={check}", f"ratio.sparsity={sparsity}")
        for pruner in ("lt", "hybrid")
        for check in ("none", "rearrange")
        for sparsity in (0.8, 0.9)
    ]
    assert sum("train_dense" not in reused(record) for record in records) == 1
    assert len({record["stages"]["train_dense"]["key"] for record in records}) == 1
    assert len({record["stages"]["train_ticket"]["key"] for record in records}) == len(records)


def test_like_shares_the_mask_of_the_pruner_it_copies(run: Run) -> None:
    snip = run("pruner=snip", "until=prune")
    like = run("pruner=random", "ratio=like", "ratio.of=snip", "until=prune")
    assert like["stages"]["prune_donor"]["key"] == snip["stages"]["prune"]["key"]
    assert reused(like) == {"prune_donor"}
    assert like["ticket"]["layers"] == snip["ticket"]["layers"]


def test_a_snapshot_that_was_not_kept_is_the_same_when_trained_again(run: Run) -> None:
    """The dense run of rewind=init kept no snapshot; the one of rewind=epoch did."""
    run("pruner=lt", "training.epochs=3")
    late = run("pruner=lt", "training.epochs=3", "rewind=epoch", "rewind.epoch=1")
    assert "snapshot" in late["stages"]
    assert "train_dense" in reused(late)
    early = run("pruner=lt", "training.epochs=3", "rewind=epoch", "store_dir=${data_dir}/other")
    assert "snapshot" not in early["stages"]
    assert early["metrics"] == late["metrics"]


def test_a_failed_stage_is_not_stored_and_the_next_run_goes_on(run: Run) -> None:
    with pytest.raises(TrainingError, match=r"lower training\.lr"):
        run("pruner=lt", "training.lr=1e30")
    record = run("pruner=lt", "until=prune")
    with pytest.raises(TrainingError):
        run("pruner=lt", "training.lr=1e30")
    assert record["status"] == "completed"


def test_the_record_of_a_failed_run_says_why(run: Run, tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        run("pruner=random", "training.lr=1e30")
    record = json.loads((tmp_path / "run0" / "record.json").read_text())
    assert record["status"] == "failed"
    assert "lower training.lr" in record["reason"]
    assert set(record["stages"]) == {"prune", "rewind"}


def keys(record: dict[str, Any]) -> dict[str, str]:
    return {name: stage["key"] for name, stage in record["stages"].items()}


CASES = {
    "lt": ["pruner=lt"],
    "snip_corrupted": ["pruner=snip", "sanity_check=corrupted_data"],
    "random_smart": ["pruner=random"],
    "hybrid_shuffled": ["pruner=hybrid", "sanity_check=shuffle_weights"],
    "random_like_grasp": ["pruner=random", "ratio=like", "ratio.of=grasp"],
    "imp_epoch": ["pruner=imp", "pruner.rounds=2", "rewind=epoch"],
}


@pytest.mark.parametrize("name", CASES)
def test_keys_are_frozen(run: Run, name: str, update_frozen: Callable[..., Any]) -> None:
    """A key that moves throws away every stored result: see CONTRIBUTING, "Keys"."""
    found = keys(run(*CASES[name]))
    assert found == update_frozen(FROZEN, name, found)
