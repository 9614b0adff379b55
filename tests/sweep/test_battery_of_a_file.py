"""The battery on tickets that another tool has made, from the command to its report."""

import json
import re
import sys
from pathlib import Path

import processes
import pytest
import torch
from conftest import TINY, Compose
from other_tools import prunable_modules
from torch.nn.utils import prune

from sanity.core.config import PROJECT
from sanity.core.streams import generator
from sanity.experiment.experiment import build
from sanity.networks.build import build as initialised
from sanity.report.report import make

SMALL = tuple(text for text in TINY if "sparsity" not in text)


def make_tickets(configure: Compose, place: Path) -> None:
    """One a seed, by PyTorch's own pruning, of different sizes."""
    factory = build(configure(*SMALL)).factory
    for seed in (0, 1):
        network = initialised(factory, generator(seed, "init"))
        layers = [(module, "weight") for module in prunable_modules(network).values()]
        prune.global_unstructured(layers[:-1], prune.L1Unstructured, amount=0.6 + 0.1 * seed)
        torch.save({"state_dict": network.state_dict()}, place / f"ticket{seed}.pth")


@pytest.mark.slow
def test_a_battery_runs_to_its_report(configure: Compose, tmp_path: Path) -> None:
    make_tickets(configure, tmp_path)
    typed = ["sweep=battery", "pruner=from_checkpoint", "pruner.path=ticket{seed}.pth"]
    typed += [*SMALL, "seed=0,1", "tracker=none", "hydra.sweep.dir=sweep"]
    command = [sys.executable, str(PROJECT / "run.py"), *typed]
    done = processes.run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(one.read_text()) for one in (tmp_path / "sweep").glob("*/record.json")]
    assert len(records) == 8 + 8
    sizes: dict[int, list[int]] = {0: [], 1: []}
    for record in records:
        sizes[record["seed"]].append(record["ticket"]["kept"])
    for kept in sizes.values():
        assert max(kept) - min(kept) <= 12, "a layer-wise ratio rounds down in each of ten layers"
    assert min(sizes[0]) > max(sizes[1])
    report = make([tmp_path / "sweep"])
    asked = {(one.cell.choices["pruner"], one.check): one for one in report.questions}
    assert asked.keys() == {
        *(("from_checkpoint", check) for check in ("rearrange", "shuffle_weights", "reinit")),
        ("from_checkpoint", "random_ticket"),
        ("random", "rearrange"),
        ("lt", "shuffle_weights"),
    }
    assert all(len(one.judgement.paired.differences) == 2 for one in asked.values() if one.changed)
    assert not any("not compared" in one.judgement.why for one in asked.values())
    assert len({cell.sparsity for cell in report.cells}) == 1
    page = (tmp_path / "sweep" / "report.md").read_text()
    assert re.search(r"from\\_checkpoint \d+(\.\d+)?%", page)
