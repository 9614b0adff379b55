"""Files of other tools in settings: read before anything is trained, and what comes of them."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, Compose, Run
from other_tools import prunable_modules
from planning import plan_of
from torch import Tensor, nn
from torch.nn.utils import prune

from sanity.core.errors import CombinationError, ConfigError, DataError
from sanity.core.streams import generator
from sanity.experiment.experiment import Experiment, build
from sanity.experiment.patterns import escaped
from sanity.experiment.validation import validate
from sanity.networks.build import build as initialised
from sanity.pruning import masks
from sanity.stages.results import mask_of
from sanity.store import Store

SMALL = tuple(text for text in TINY if "sparsity" not in text)
SEEDS = (0, 1)


@pytest.fixture
def tickets(configure: Compose, tmp_path: Path) -> str:
    """A network pruned by PyTorch for each seed, of other sizes; the pattern of their paths."""
    factory = build(configure(*SMALL)).factory
    for seed in SEEDS:
        network = initialised(factory, generator(seed, "init"))
        layers = [(module, "weight") for module in prunable_modules(network).values()]
        method = prune.L1Unstructured
        prune.global_unstructured(layers[:-1], method, amount=0.7 + 0.1 * seed)
        torch.save({"state_dict": nn.DataParallel(network).state_dict()}, tmp_path / f"{seed}.pth")
    return str(tmp_path / "{seed}.pth")


def file(tickets: str, seed: int = 0) -> str:
    return tickets.format(seed=seed)


def masks_in(tickets: str, seed: int = 0) -> dict[str, Tensor]:
    """What is meant to be kept, without what is read of it here."""
    state = torch.load(file(tickets, seed), weights_only=True)["state_dict"]
    ending = ".weight_mask"
    return {
        name.removeprefix("module.").removesuffix(ending): tensor.bool()
        for name, tensor in state.items()
        if name.endswith(ending)
    }


def kept(tickets: str, seed: int = 0) -> int:
    return sum(map(int, (keep.sum() for keep in masks_in(tickets, seed).values()))) + 80


def mask_of_run(record: dict[str, Any], stage: str = "prune") -> dict[str, Tensor]:
    store = Store(Path(record["config"]["store_dir"]))
    entry = store.get("prune", record["stages"][stage]["key"])
    assert entry is not None
    return mask_of(entry)


def experiment(configure: Compose, *overrides: str) -> Experiment:
    found = build(configure(*SMALL, *map(escaped, overrides)))
    validate(found)
    return found


def test_a_ticket_is_read_told_and_run(
    tickets: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = ("pruner=from_checkpoint", escaped(f"pruner.path={tickets}"), "ratio.sparsity=null")
    with caplog.at_level(logging.INFO):
        record = run(*chosen, "seed=1", "until=prune")
    found, expected = mask_of_run(record), masks_in(tickets, 1)
    assert all(torch.equal(found[name], keep) for name, keep in expected.items())
    assert set(found) - set(expected) == {"fc"}
    assert record["ticket"]["kept"] == kept(tickets, 1)
    told = [line for line in caplog.messages if line.startswith("pruner.path: ")]
    assert told == [
        "pruner.path: names are read without module. in front of them",
        "pruner.path: there is no mask of fc.weight: dense",
    ]
    with caplog.at_level(logging.INFO):
        again = run(*chosen, "seed=1", "until=prune")
    assert again["stages"]["prune"]["reused"]
    assert [line for line in caplog.messages if line.startswith("pruner.path: ")] == 2 * told


def test_initial_weights_are_read_by_their_names_in_the_network(
    tickets: str, configure: Compose, caplog: pytest.LogCaptureFixture, run: Run
) -> None:
    found = experiment(configure, f"arch.init_from={file(tickets)}", "ratio.sparsity=0.8")
    told = ("arch.init_from: names are read without module. in front of them",)
    assert found.notes == told
    with caplog.at_level(logging.INFO):
        record = run(f"arch.init_from={file(tickets)}", "pruner=magnitude", "until=prune")
    assert told[0] in caplog.messages
    assert record["status"] == "completed"


@pytest.mark.parametrize("setting", ["pruner.path", "arch.init_from", "ratio.settings.path"])
def test_a_file_of_another_network_is_refused_before_anything_runs(
    setting: str, configure: Compose, tmp_path: Path
) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "x.pth")
    of = {
        "pruner.path": ("pruner=from_checkpoint",),
        "ratio.settings.path": LIKE,
    }
    with pytest.raises(DataError) as caught:
        experiment(configure, *of.get(setting, ()), f"+{setting}={tmp_path / 'x.pth'}")
    line = str(caught.value)
    assert line.startswith(f"{setting}={tmp_path / 'x.pth'}: does not fit arch (ResNet with 10 ")
    assert "weight" in line
    assert "conv1.weight" in line
    assert line.count(str(tmp_path)) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sparsity_may_be_that_of_a_ticket(tickets: str, seed: int, run: Run) -> None:
    chosen = (escaped(f"ratio.sparsity={tickets}"), f"seed={seed}", "until=prune")
    record = run("pruner=magnitude", *chosen)
    assert record["ticket"]["kept"] == kept(tickets, seed)
    assert record["config"]["ratio"]["sparsity"] == tickets, "the record keeps the pattern"
    number = record["ticket"]["asked"]
    again = run("pruner=magnitude", f"ratio.sparsity={number}", f"seed={seed}", "until=prune")
    assert again["stages"]["prune"]["key"] == record["stages"]["prune"]["key"]
    smart = run("pruner=random", *chosen)
    assert abs(smart["ticket"]["kept"] - kept(tickets, seed)) <= 10


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("abc", "must be a number in [0, 1), or the file of a ticket whose sparsity it is"),
        ("/", "must be a number in [0, 1), or the file of a ticket whose sparsity it is"),
        ("a{sed}", "{sed} means nothing in it; {seed} stands for the run's seed"),
    ],
)
def test_a_sparsity_that_is_no_number_and_no_file_is_a_line(
    value: str, line: str, configure: Compose
) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment(configure, f"ratio.sparsity={value}")
    assert str(caught.value).startswith(f"ratio.sparsity={value}: {line}")


def test_a_sparsity_of_a_file_that_is_no_ticket_is_a_line(
    configure: Compose, tmp_path: Path
) -> None:
    (tmp_path / "x.pth").write_bytes(b"hello")
    line = rf"^ratio\.sparsity={tmp_path}/x\.pth: damaged, truncated"
    with pytest.raises(DataError, match=line):
        experiment(configure, f"ratio.sparsity={tmp_path}/x.pth")


LIKE = ("pruner=random", "ratio=like", "ratio.of=from_checkpoint", "ratio.sparsity=null")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_ticket_may_have_the_layer_counts_of_a_file(
    tickets: str, seed: int, run: Run, tmp_path: Path
) -> None:
    path = escaped(f"+ratio.settings.path={tickets}")
    record = run(*LIKE, path, f"seed={seed}", "until=prune")
    expected = masks.kept(masks_in(tickets, seed)) | {"fc": 80}
    assert {one["name"]: one["kept"] for one in record["ticket"]["layers"]} == expected
    found = mask_of_run(record)
    assert any(not torch.equal(found[name], k) for name, k in masks_in(tickets, seed).items())
    itself = ("pruner=from_checkpoint", f"pruner.path={file(tickets, seed)}", "ratio.sparsity=null")
    own = run(*itself, f"seed={seed}", "until=prune")
    assert own["stages"]["prune"]["key"] == record["stages"]["prune_donor"]["key"], "shared"
    moved = tmp_path / "elsewhere.pth"
    moved.write_bytes(Path(file(tickets, seed)).read_bytes())
    again = run(*LIKE, f"+ratio.settings.path={moved}", f"seed={seed}", "until=prune")
    assert again["stages"]["prune"]["key"] == record["stages"]["prune"]["key"], "by its contents"


def test_the_donor_that_decides_its_sparsity_is_asked_for_none(
    tickets: str, configure: Compose
) -> None:
    path = f"+ratio.settings.path={file(tickets)}"
    with pytest.raises(CombinationError) as caught:
        experiment(configure, *LIKE[:3], "ratio.sparsity=0.9", path)
    assert str(caught.value) == (
        "ratio.sparsity=0.9: the mask of ratio.of=from_checkpoint comes with its own sparsity: set "
        "ratio.sparsity=null"
    )
    with pytest.raises(ConfigError, match=r"ratio\.sparsity=None: must be a number in \[0, 1\)"):
        experiment(configure, "pruner=random", "ratio=like", "ratio.sparsity=null")
    found = experiment(configure, *LIKE, path)
    assert found.notes[-1] == "ratio.settings.path: there is no mask of fc.weight: dense"


@pytest.mark.parametrize("pruner", ["imp", "lt", "snip", "hybrid", "synflow", "magnitude"])
def test_every_pruner_may_copy_a_files_counts(tickets: str, pruner: str, run: Run) -> None:
    quick = {"imp": ("pruner.rounds=2",), "synflow": ("pruner.iterations=2",)}.get(pruner, ())
    path = f"+ratio.settings.path={file(tickets)}"
    chosen = (f"pruner={pruner}", *LIKE[1:], path, "training.epochs=1", "until=prune")
    record = run(*chosen, *quick)
    expected = masks.kept(masks_in(tickets)) | {"fc": 80}
    assert {one["name"]: one["kept"] for one in record["ticket"]["layers"]} == expected


def test_what_a_file_keeps_is_known_before_anything_runs(tickets: str, configure: Compose) -> None:
    chosen = ("pruner=from_checkpoint", f"pruner.path={tickets}")
    found = experiment(configure, *chosen, "seed=1")
    planned = found.method.allocate(found.blueprint, {})
    assert planned.kept == {**masks.kept(masks_in(tickets, 1)), "fc": 80}
    assert planned.total == kept(tickets, 1)
    assert found.sparsity == pytest.approx(1 - kept(tickets, 1) / found.blueprint.total, abs=1e-3)


def test_a_ticket_without_a_path_is_refused_before_anything_runs(
    tickets: str, configure: Compose, tmp_path: Path
) -> None:
    dead = masks_in(tickets) | {"conv1": torch.zeros(4, 1, 3, 3, dtype=torch.bool)}
    torch.save(dead, tmp_path / "dead.pth")
    chosen = ("pruner=from_checkpoint", f"pruner.path={tmp_path / 'dead.pth'}")
    line = "pruner=from_checkpoint: its mask keeps no weight of conv1, which leaves no path from"
    with pytest.raises(CombinationError, match=line):
        experiment(configure, *chosen)
    experiment(configure, *chosen, "allow_dead=true")


def test_every_job_is_planned_by_its_own_seeds_file(tickets: str) -> None:
    for chosen in (
        ("pruner=from_checkpoint", f"pruner.path={tickets}"),
        ("pruner=random", f"ratio.sparsity={tickets}"),
        (*LIKE, f"+ratio.settings.path={tickets}"),
    ):
        plan = plan_of(*SMALL, *map(escaped, chosen), "seed=0,1", "until=prune")
        assert len({job.stages[-1].key for job in plan.jobs}) == 2
        assert all(job.sparsity is None for job in plan.jobs), "a file decides it"
        assert not any("pth" in job.directory for job in plan.jobs)
