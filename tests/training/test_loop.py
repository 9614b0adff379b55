"""Training against a plain restatement; masks hold exactly; what diverges is stopped."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from trained import train

from sanity.core.errors import TrainingError
from sanity.datasets.base import Examples
from sanity.datasets.digits import Digits
from sanity.networks.layers import prunable_weights
from sanity.training import loop
from sanity.training.checkpoint import Checkpoints
from sanity.training.engines.dense import Dense
from sanity.training.evaluation import evaluate
from sanity.training.images import Images
from sanity.training.loop import Splits
from sanity.training.recipe import Recipe

RECIPE = Recipe(epochs=3, batch_size=16, lr=0.05, milestones=[2.0])
CPU = torch.device("cpu")


def examples(count: int) -> Examples:
    random = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 17, (count, 8, 8, 1), generator=random, dtype=torch.uint8)
    return Examples(pixels, torch.randint(0, 10, (count,), generator=random), 10)


@pytest.fixture
def splits() -> Splits:
    train, test = (Images(examples(count), Digits(), CPU) for count in (70, 30))
    return Splits(train, None, test)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))


@pytest.fixture
def mask(network: nn.Module) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(weight.shape, generator=random) < 0.4
        for name, weight in prunable_weights(network).items()
    }


def restated(network: nn.Module, splits: Splits, recipe: Recipe, mask: dict[str, Tensor]) -> None:
    """SGD with momentum and weight decay, written out; masks by multiplication after the step."""
    momentum: dict[str, Tensor] = {}
    parameters = dict(network.named_parameters())
    for name, keep in mask.items():
        parameters[f"{name}.weight"].data *= keep
    for epoch in range(recipe.epochs):
        network.train()
        for x, y in splits.train.epoch(0, epoch, recipe.batch_size):
            network.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            for name, parameter in parameters.items():
                assert parameter.grad is not None
                step = parameter.grad + recipe.weight_decay * parameter.data
                if name in momentum:
                    step = step + recipe.momentum * momentum[name]
                momentum[name] = step.clone()
                parameter.data -= recipe.lr_at(epoch) * step
                if (layer := name.removesuffix(".weight")) in mask:
                    parameter.data *= mask[layer]


@pytest.mark.parametrize("masked", [False, True])
def test_training_equals_its_restatement(
    network: nn.Module, splits: Splits, mask: dict[str, Tensor], masked: bool
) -> None:
    plain = copy.deepcopy(network)
    used = mask if masked else {}
    history = train(network, splits, RECIPE, seed=0, mask=used)
    restated(plain, splits, RECIPE, used)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-4, atol=1e-6)
    assert [epoch.lr for epoch in history] == [0.05, 0.05, pytest.approx(0.005)]
    loss, accuracy = evaluate(plain, splits.test, RECIPE)
    assert history[-1].test_loss == pytest.approx(loss, rel=1e-3)
    assert history[-1].test_accuracy == pytest.approx(accuracy, abs=3.4)  # one image


def test_pruned_weights_are_exactly_zero_after_every_step(
    network: nn.Module, splits: Splits, mask: dict[str, Tensor]
) -> None:
    engine = Dense(network, RECIPE, mask)
    engine.begin(RECIPE.lr)
    for epoch in range(2):
        for x, y in splits.train.epoch(0, epoch, 16):
            engine.step(x, y)
            for name, keep in mask.items():
                weight = prunable_weights(network)[name]
                assert bool((weight[~keep] == 0).all())
                assert bool((weight[keep] != 0).all())


def test_the_same_seed_gives_the_same_bits(network: nn.Module, splits: Splits) -> None:
    twin, other = copy.deepcopy(network), copy.deepcopy(network)
    first = train(network, splits, RECIPE, seed=0)
    second = train(twin, splits, RECIPE, seed=0)
    train(other, splits, RECIPE, seed=1)
    for mine, theirs in zip(network.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    assert [epoch.train_loss for epoch in first] == [epoch.train_loss for epoch in second]
    assert not torch.equal(network[0].weight, other[0].weight)  # type: ignore[index]


def test_a_schedule_may_be_entered_late_and_left_early(network: nn.Module, splits: Splits) -> None:
    history = train(network, splits, RECIPE, seed=0, start=1, end=2)
    assert [epoch.epoch for epoch in history] == [1]


def test_a_loss_that_is_no_number_stops_with_epoch_step_and_rate(
    network: nn.Module, splits: Splits
) -> None:
    with pytest.raises(TrainingError, match=r"epoch 0, step \d+, learning rate 1e\+30.*lower"):
        train(network, splits, replace(RECIPE, lr=1e30), seed=0)


def test_nothing_is_read_from_the_device_within_an_epoch(
    network: nn.Module, splits: Splits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Reading a value back waits for the device: allowed between epochs and when saving only."""
    reads: list[str] = []
    inside = False

    def spy(name: str) -> None:
        original = getattr(Tensor, name)

        def read(self: Tensor, *args: object) -> object:
            if inside:
                reads.append(name)
            return original(self, *args)

        monkeypatch.setattr(Tensor, name, read)

    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "cpu"):
        spy(name)
    original_epoch = Images.epoch

    def watched(self: Images, *args: int) -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal inside
        for batch in original_epoch(self, *args):
            inside = True
            yield batch
        inside = False

    monkeypatch.setattr(Images, "epoch", watched)
    monkeypatch.setattr(loop, "_refuse_nan", lambda *args: None)
    once = replace(RECIPE, epochs=1)
    train(network, splits, once, seed=0, checkpoints=Checkpoints(tmp_path / "rare", 1000.0))
    assert reads == []
    train(network, splits, once, seed=0, checkpoints=Checkpoints(tmp_path / "often", 0.0))
    assert "cpu" in reads  # the spy would have noticed


def test_bf16_is_opt_in_and_close(network: nn.Module, splits: Splits) -> None:
    twin = copy.deepcopy(network)
    exact = train(network, splits, replace(RECIPE, epochs=1), seed=0)[0]
    rough = train(twin, splits, replace(RECIPE, epochs=1, precision="bf16"), seed=0)[0]
    assert exact.train_loss != rough.train_loss
    assert rough.train_loss == pytest.approx(exact.train_loss, rel=0.02)
