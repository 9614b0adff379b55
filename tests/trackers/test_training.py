"""What trackers show of a record: names, tags, configuration, summaries; nothing secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from sanity.trackers.base import Training
from sanity.trackers.training import REDACTED, describe, ending_of, identifier, redacted


def shown(record: dict[str, Any], stage: str) -> Training:
    facts = record["stages"][stage]
    return describe(record, stage, facts["key"], facts.get("perturbed", False))


def epochs(record: dict[str, Any], stage: str) -> list[dict[str, Any]]:
    lines = (record["directory"] / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["stage"] == stage]


def test_a_ticket_bears_the_names_a_person_would_choose(run: Run) -> None:
    record = run("pruner=lt", "sanity_check=rearrange", "seed=3")
    ticket = shown(record, "train_ticket")
    assert ticket.name == "lt x global 80% rearrange s3 digits resnet"
    assert ticket.kind == "ticket"
    assert ticket.main
    assert ticket.tags == ("digits", "resnet", "lt", "global", "rearrange")
    config = ticket.config
    assert config["arm"] == "lt x global, rearrange"
    assert (config["pruner"], config["sanity_check"]) == ("lt", "rearrange")
    assert (config["sparsity"], config["seed"]) == (0.8, 3)
    assert config["parent"] == shown(record, "train_dense").id
    assert config["mask"] == {
        "key": record["stages"]["prune"]["key"],
        "sha256": record["ticket"]["digest"],
    }
    assert len(config["density"]) == len(record["ticket"]["layers"]) == 10
    assert config["density"]["layer1/0/conv1"] < 1
    assert config["settings"]["training"]["epochs"] == 2
    assert "store_dir" not in config["settings"]
    json.dumps(config, allow_nan=False)


def test_a_dense_network_is_described_by_what_it_depends_on_alone(run: Run) -> None:
    lt, hybrid = run("pruner=lt"), run("pruner=hybrid", "ratio.sparsity=0.9")
    assert shown(lt, "train_dense") == shown(hybrid, "train_dense")
    assert shown(lt, "train_dense").config["pruner"] == "dense"
    assert not shown(lt, "train_dense").main
    assert shown(run("pruner=dense", "ratio.sparsity=0"), "train_dense").main


def test_a_corrupted_dense_network_says_so(run: Run) -> None:
    record = run("pruner=lt", "sanity_check=random_labels")
    dense = shown(record, "train_dense")
    assert record["stages"]["train_dense"]["perturbed"]
    assert dense.name == "dense random_labels s0 digits resnet"
    assert dense.config["sanity_check"] == "random_labels"
    clean = run("pruner=lt", "sanity_check=rearrange")
    assert "perturbed" not in clean["stages"]["train_dense"]
    assert clean["stages"]["prune"]["perturbed"]
    assert shown(clean, "train_dense").config["sanity_check"] == "none"


def test_summaries_are_those_of_the_record(run: Run) -> None:
    record = run("pruner=snip", "sanity_check=random_labels")
    ending = ending_of(record, "train_ticket", epochs(record, "train_ticket"))
    assert ending.status == "completed"
    for name, value in record["metrics"].items():
        assert ending.summary[f"final/{name}"] == value
    assert ending.summary["final/kept"] == record["ticket"]["kept"]
    assert ending.summary["check/labels_changed"] == record["check"]["effect"]["labels_changed"]
    assert [layer[2] for layer in ending.layers] == [
        layer["kept"] for layer in record["ticket"]["layers"]
    ]
    assert [(kind, path.exists()) for kind, (_, path) in ending.files.items()] == [("ticket", True)]
    inputs = shown(record, "train_ticket").inputs
    assert [(kind, path.exists()) for kind, (_, path) in inputs.items()] == [("mask", True)]


def test_a_training_that_did_not_end_is_failed_or_interrupted(run: Run) -> None:
    record = run("pruner=random")
    del record["stages"]["train_ticket"]
    record["metrics"] = {}
    for reason, status in (("interrupted", "interrupted"), ("the loss became nan", "failed")):
        ending = ending_of(record | {"reason": reason}, "train_ticket", [])
        assert (ending.status, ending.layers, ending.files) == (status, (), {})


def test_rounds_before_the_last_are_tickets_of_their_own(run: Run) -> None:
    record = run("pruner=imp", "pruner.rounds=2")
    first = shown(record, "train_ticket_1")
    assert first.name.endswith("round 1 s0 digits resnet")
    assert first.config["round"] == 1
    assert "density" not in first.config  # the record's is that of the last round
    assert first.id != shown(record, "train_ticket").id


def test_the_same_training_is_another_one_in_another_sweep() -> None:
    ids = {identifier("train_dense", "k", group) for group in (None, "a", "b")}
    assert len(ids) == 3
    assert identifier("train_dense", "k", "a") == identifier("train_dense", "k", "a")


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("api_key", True),
        ("wandb_api_key", True),
        ("password", True),
        ("hf_token", True),
        ("client_secret", True),
        ("key", False),  # of a stage
        ("tokens", False),
        ("keyboard", False),
    ],
)
def test_secrets_are_left_out(name: str, hidden: bool) -> None:
    value = redacted({"settings": [{name: "0123"}]})["settings"][0][name]
    assert value == (REDACTED if hidden else "0123")
    assert redacted({name: None}) == {name: None}


def test_masks_have_a_digest_of_their_own(run: Run, tmp_path: Path) -> None:
    first, same = run("pruner=random"), run("pruner=random", "training.lr=0.01")
    other = run("pruner=random", "sanity_check=rearrange")
    assert first["ticket"]["digest"] == same["ticket"]["digest"] != other["ticket"]["digest"]
