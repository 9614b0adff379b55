"""A tiny network and data, and every registered pruner with settings that suit them."""

from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from sanity.networks.blueprint import blueprint
from sanity.networks.layers import Blueprint
from sanity.pruners.base import Pruner, Scoring
from sanity.pruning import masks

CONF = Path(__file__).parents[1] / "conf" / "pruner"
PRUNERS = sorted(path.stem for path in CONF.glob("*.yaml"))
INPUT_SHAPE = (2, 6, 6)
CLASSES = 3


class Pool(nn.Module):
    """Global average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def tiny_network(
    seed: int = 0, batch_norm: bool = True, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """Two convolutions and a linear layer: 72 + 180 + 15 prunable weights."""
    random = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d if batch_norm else nn.Identity
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        norm(4),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, padding=1, bias=False),
        norm(5),
        nn.ReLU(),
        Pool(),
        nn.Linear(5, CLASSES),
    )
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4, generator=random)
    return network.to(dtype)


def batches(
    count: int = 2, seed: int = 1, dtype: torch.dtype = torch.float32
) -> list[tuple[Tensor, Tensor]]:
    """Random images with two samples of each class."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(CLASSES).repeat(2)
    shape = (len(labels), *INPUT_SHAPE)
    return [(torch.randn(shape, generator=random, dtype=dtype), labels) for _ in range(count)]


def scoring(network: nn.Module, mask: masks.Mask | None = None, seed: int = 2) -> Scoring:
    """What a pruner gets to see of ``network``, in the network's own precision."""
    outline = blueprint(network, INPUT_SHAPE)
    dtype = next(network.parameters()).dtype
    return Scoring(
        network=network.eval(),
        blueprint=outline,
        mask=masks.full(outline) if mask is None else mask,
        batches=batches(dtype=dtype),
        generator=torch.Generator().manual_seed(seed),
        input_shape=INPUT_SHAPE,
    )


def pruner_settings(name: str, checkpoint: Path) -> dict[str, Any]:
    """Settings of the pruner's YAML file, made small; ``checkpoint`` is a pruned network's."""
    small: dict[str, dict[str, Any]] = {
        "synflow": {"iterations": 3},
        "from_checkpoint": {"path": str(checkpoint)},
    }
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml").pruner, small.get(name, {}))
    return cast(dict[str, Any], OmegaConf.to_container(config, throw_on_missing=True))


def registered_pruner(name: str, checkpoint: Path) -> Pruner:
    pruner = instantiate(pruner_settings(name, checkpoint))
    assert isinstance(pruner, Pruner)
    return pruner


def save_pruned(path: Path, outline: Blueprint, keep_every: int = 4) -> Path:
    """A checkpoint of the tiny network in which only every ``keep_every``-th weight is not 0."""
    state = tiny_network(seed=9).state_dict()
    for layer in outline.layers:
        weight = state[f"{layer.name}.weight"].view(-1)
        weight[torch.arange(len(weight)) % keep_every != 0] = 0
    torch.save({"state_dict": state}, path)
    return path
