"""What scoring takes is told as it is, and split only where that changes nothing but rounding."""

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
from conftest import Run
from pruning_cases import CLASSES, INPUT_SHAPE, scoring, tiny_network
from torch import Tensor, nn

from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.pruners.grasp import GraSP
from sanity.pruners.snip import SNIP
from sanity.pruning import memory
from sanity.pruning.memory import are_independent, estimate, fitted
from sanity.pruning.selection import select
from sanity.ratios.base import Allocation

ROOT = Path(__file__).parents[2]
MEASURE = """
import json, resource, sys, torch
from dataclasses import replace
from pathlib import Path
from sanity.archs.resnet import ResNet
from sanity.networks.blueprint import blueprint
from sanity.pruners.base import Scoring
from sanity.pruners.grasp import GraSP
from sanity.pruners.snip import SNIP
from sanity.pruning import masks
from sanity.pruning.memory import estimate
torch.set_num_threads(1)
pruner, count = {"snip": SNIP, "grasp": GraSP}[sys.argv[1]](), int(sys.argv[2])
network = ResNet(8, 20, 3, 64, widths=(16, 32, 64))
layers = blueprint(network)
batch = torch.randn(count, 3, 64, 64), torch.arange(count) % 20
shape = (3, 64, 64)
few = [(batch[0][:8], batch[1][:8])]
scoring = Scoring(network.eval(), layers, masks.full(layers), [batch], torch.Generator(), shape)
expected = estimate(pruner, scoring)
pruner.score(replace(scoring, batches=few))  # what is loaded and made once
peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
now = lambda: 4096 * int(Path("/proc/self/statm").read_text().split()[1])
before, highest = now(), peak()
pruner.score(scoring)
assert peak() > highest
print(json.dumps([expected, peak() - before]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("pruner", "count"), [("snip", 160), ("grasp", 80)])
def test_the_estimate_is_near_what_the_process_takes(
    pruner: str, count: int, tmp_path: Path
) -> None:
    script = tmp_path / "measure.py"
    script.write_text(MEASURE)
    command = [sys.executable, str(script), pruner, str(count)]
    done = processes.run(command, ROOT)
    assert not done.returncode, done.stderr
    expected, taken = json.loads(done.stdout)
    assert taken / 2 < expected < 1.5 * taken, f"{expected} bytes expected, {taken} taken"


class Normed(nn.Module):
    """A network that normalises by what no module tells."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny_network(batch_norm=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(nn.functional.batch_norm(x, None, None, training=True))


class Dropping(nn.Module):
    """A network of images that do not matter to each other, and of chance."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny_network(batch_norm=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(nn.functional.dropout(x, 0.5, self.training))


def large(network: nn.Module, images: int = 12, batches: int = 2) -> Scoring:
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(images) % CLASSES
    dealt = [(torch.randn(images, *INPUT_SHAPE, generator=random), labels) for _ in range(batches)]
    return replace(scoring(network), batches=dealt)


@pytest.fixture
def greedy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a batch of any size be worth a word, and one of more than ``most`` images a split."""

    def set_up(pruner: Pruner, given: Scoring, most: float = 1e9) -> None:
        monkeypatch.setattr(memory, "SMALL", 0)
        monkeypatch.setattr(memory, "TOLD", 1)
        images = len(given.batches[0][0])
        monkeypatch.setattr(memory, "MOST", estimate(pruner, given) * most / images)

    return set_up


@pytest.mark.parametrize("pruner", [SNIP(), GraSP()])
@pytest.mark.parametrize(("most", "size"), [(12.1, 12), (7, 6), (5, 4), (0.1, 1)])
def test_parts_have_the_size_that_is_allowed_and_give_the_same_mask(
    pruner: Pruner,
    most: float,
    size: int,
    greedy: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = tiny_network(batch_norm=False)
    given = large(network)
    expected = pruner.score(large(network))
    greedy(pruner, given, most)
    with caplog.at_level(logging.INFO):
        parts = fitted(pruner, given, "x")
    assert [len(images) for images, _ in parts] == [size] * (24 // size)
    assert torch.equal(torch.cat([images for images, _ in parts]), joined(given, 0))
    assert torch.equal(torch.cat([labels for _, labels in parts]), joined(given, 1))
    assert ("parts each" in caplog.text) == (size < 12)
    found = pruner.score(replace(large(network), batches=parts))
    assert_same_mask(found, expected, given)


def joined(given: Scoring, which: int) -> Tensor:
    return torch.cat([batch[which] for batch in given.batches])


def assert_same_mask(found: Scores, expected: Scores, given: Scoring) -> None:
    allocation = Allocation(dict.fromkeys(given.mask), 100)
    assert len(allocation.kept) == 3
    one, other = (select(scores, allocation, given.mask)[0] for scores in (found, expected))
    assert all(torch.equal(one[name], other[name]) for name in one)
    factors = torch.cat([(found[name] / expected[name]).flatten() for name in found])
    assert torch.allclose(factors, factors.median().expand_as(factors), rtol=1e-2)


class Curious(SNIP):
    """Scores what does not add up, and draws."""

    adds_up = False

    def score(self, scoring: Scoring) -> Scores:
        torch.rand(3, generator=scoring.generator)
        return super().score(scoring)


@pytest.mark.parametrize(
    ("pruner", "network"),
    [
        (SNIP(), tiny_network()),
        (GraSP(), tiny_network()),
        (SNIP(), Dropping()),
        (SNIP(), Normed()),
        (Curious(), tiny_network(batch_norm=False)),
    ],
)
def test_what_would_come_out_otherwise_is_not_split(
    pruner: Pruner,
    network: nn.Module,
    greedy: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = large(network)
    greedy(pruner, given, most=1)
    with caplog.at_level(logging.INFO):
        assert fitted(pruner, given, "x") is given.batches
    (message,) = caplog.messages
    assert message == "pruner=x: scores batches of 12 images: about 0.0 GB of memory"


def test_a_network_that_answers_always_the_same_says_nothing() -> None:
    network = tiny_network(batch_norm=False)
    assert are_independent(large(network))
    with torch.no_grad():
        network.get_submodule("7").get_parameter("weight").zero_()
    assert not are_independent(large(network))


def test_trying_changes_nothing(greedy: Callable[..., None]) -> None:
    network, before = Dropping(), torch.get_rng_state()
    given = large(network)
    network.register_buffer("count", torch.zeros(()))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    greedy(SNIP(), given, most=1)
    fitted(SNIP(), given, "x")
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    assert all(torch.equal(network.state_dict()[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("pruner", "advice"), [(SNIP(), True), (SNIP(samples_per_class=2, batches=2), False)]
)
def test_more_than_there_is_is_warned_of(
    pruner: SNIP,
    advice: bool,
    greedy: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = large(tiny_network())
    greedy(pruner, given)
    monkeypatch.setattr(memory, "estimate", lambda *_: 8.1e9)
    monkeypatch.setattr(memory.memory, "available", lambda device: 6.24e9)
    with caplog.at_level(logging.WARNING):
        assert fitted(pruner, given, "snip") is given.batches
    (message,) = caplog.messages
    assert message.startswith(
        "pruner=snip: scores batches of 12 images: about 8.1 GB of memory, and 6.2 GB are left"
    )
    assert ("more pruner.batches" in message) == advice


def test_a_pruner_that_cannot_score_a_few_images_is_let_be(
    greedy: Callable[..., None],
) -> None:
    class Picky(SNIP):
        def score(self, scoring: Scoring) -> Scores:
            raise ValueError("too few")

    given = large(tiny_network())
    greedy(SNIP(), given)
    assert estimate(Picky(), given) == 0
    assert fitted(Picky(), given, "x") is given.batches


def test_a_run_tells_before_it_scores_and_finds_the_same_mask(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def digest(number: int) -> Any:
        record = run("pruner=snip", "until=prune", f"store_dir={tmp_path}/store{number}")
        return record["ticket"]["digest"]

    silent = digest(0)
    assert "GB of memory" not in caplog.text
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "TOLD", 0)
    with caplog.at_level(logging.INFO):
        assert digest(1) == silent
    assert "pruner=snip: scores batches of 100 images: about 0.0 GB of memory" in caplog.text
