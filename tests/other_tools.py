"""A small network, the mask that is meant for it, and files of it as other tools make them.

Each maker is named as its row in conf/README.md names it. Where masks are explicit, kept weights
may be 0: ``net`` has some, so that who reads zeros instead is found out.
"""

import argparse
import importlib
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import prune

from sanity.networks.foreign.names import Wanted
from sanity.pruning import ticket
from sanity.pruning.masks import Mask

LAYERS = ("conv1", "block.conv", "fc")
SHARE = 3  # one weight in so many is kept


def prunable_modules(network: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """The convolution and linear modules by name."""
    named = network.named_modules()
    return {name: one for name, one in named if isinstance(one, nn.Conv2d | nn.Linear)}


class Net(nn.Module):
    """Two convolutions, one within a block, a norm and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.block = nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 6, 3), act=nn.ReLU()))
        self.fc = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(self.bn1(self.conv1(x))).mean((2, 3)))


def meant(network: nn.Module) -> Mask:
    """The mask of every file here: scattered, and not the same in any two layers."""
    random = torch.Generator().manual_seed(4)
    return {
        name: torch.rand(module.weight.shape, generator=random) < 1 / SHARE
        for name, module in prunable_modules(network).items()
    }


def net(kind: Callable[[], nn.Module] = Net) -> nn.Module:
    """A network with weights, of which a few are 0 that are kept, and most others are not."""
    network, random = kind(), torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=random)
        for name, module in prunable_modules(network).items():
            kept = meant(network)[name].nonzero()
            module.weight[tuple(kept[0])] = 0
    return network


def pruned(network: nn.Module) -> nn.Module:
    """The same, with PyTorch's own pruning under the mask that is meant."""
    for name, module in prunable_modules(network).items():
        prune.custom_from_mask(module, "weight", meant(network)[name].float())
    return network


def zeroed(network: nn.Module) -> nn.Module:
    """The same with pruned weights at 0, and no kept one."""
    with torch.no_grad():
        for name, module in prunable_modules(network).items():
            module.weight[module.weight == 0] = 1
            module.weight[~meant(network)[name]] = 0
    return network


def library(name: str) -> Any:
    """One that is not needed here, but by who wants to see its files read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name, reason=f"{name} is not installed, whose files are to be read")
        return importlib.import_module(name)


def torch_prune(path: Path) -> None:
    torch.save(pruned(net()).state_dict(), path)


def torch_prune_removed(path: Path) -> None:
    network = pruned(zeroed(net()))
    for module in prunable_modules(network).values():
        prune.remove(module, "weight")
    torch.save(network.state_dict(), path)


def data_parallel(path: Path) -> None:
    torch.save(nn.DataParallel(pruned(net())).state_dict(), path)


def compiled(path: Path) -> None:
    network: Any = torch.compile(pruned(net()))
    torch.save(network.state_dict(), path)


def averaged(path: Path) -> None:
    average = torch.optim.swa_utils.AveragedModel(zeroed(net()))
    torch.save(average.state_dict(), path)


def lightning(path: Path) -> None:
    """By a trainer, which makes a step that must not move what is compared."""
    light = library("lightning")

    class Module(light.LightningModule):  # type: ignore[name-defined]
        def __init__(self, options: argparse.Namespace) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = pruned(net())
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(10))

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            return self.loss(self.model.eval()(batch[0]), batch[1])  # its norms stay as they are

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    images = torch.utils.data.TensorDataset(torch.zeros(4, 1, 8, 8), torch.arange(4))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = light.Trainer(
            max_epochs=1, accelerator="cpu", default_root_dir=path.parent, barebones=False, **quiet
        )
        trainer.fit(
            Module(argparse.Namespace(lr=0.0, out=path)), torch.utils.data.DataLoader(images)
        )
        trainer.save_checkpoint(path)


def timm(path: Path) -> None:
    """By what its training script saves with, an average beside."""
    library("timm")
    utils: ModuleType = library("timm.utils")
    network = pruned(net())
    args = argparse.Namespace(model="net", lr=np.float64(0.1), out=path)
    average = utils.ModelEmaV3(zeroed(net()))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    saver = utils.CheckpointSaver(
        network,
        optimizer,
        args=args,
        model_ema=average,
        checkpoint_dir=str(path.parent),
        recovery_dir=str(path.parent),
    )
    saver.save_checkpoint(0, metric=np.float64(93.5))
    (path.parent / "last.pth.tar").replace(path)


def reference(path: Path) -> None:
    state = nn.DataParallel(zeroed(net())).state_dict()
    content = {"state_dict": state, "epoch": 0, "acc": 0.0, "best_acc": 92.5}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def safetensors(path: Path) -> None:
    save_file(dict(pruned(net()).state_dict()), path)


def numpy_savez(path: Path) -> None:
    masks: dict[str, Any] = {name: keep.numpy() for name, keep in meant(Net()).items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **masks)


def masks_alone(path: Path) -> None:
    torch.save({f"{name}.mask": keep.float() for name, keep in meant(Net()).items()}, path)


def masks_beside_weights(path: Path) -> None:
    masks = {f"{name}.weight_mask": keep.byte() for name, keep in meant(Net()).items()}
    torch.save({"model": {**net().state_dict(), **masks}, "args": argparse.Namespace()}, path)


def masks_by_themselves(path: Path) -> None:
    masks = {f"module.{name}": keep.numpy() for name, keep in meant(Net()).items()}
    torch.save({"state_dict": net().state_dict(), "masks": masks, "epoch": np.int64(3)}, path)


def store(path: Path) -> None:
    save_file(ticket.compress(net().state_dict(), meant(Net())), path)


def loaded(path: Path) -> None:
    torch.save(meant(Net()), path)


MAKERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "`torch.nn.utils.prune`": ("x.pth", torch_prune),
    "the same after `prune.remove`": ("x.pth", torch_prune_removed),
    "`nn.DataParallel`": ("x.pth", data_parallel),
    "`torch.compile`": ("x.pth", compiled),
    "`AveragedModel`": ("x.pth", averaged),
    "Lightning": ("x.ckpt", lightning),
    "timm": ("x.pth.tar", timm),
    "the paper's code": ("x.pth.tar", reference),
    "safetensors": ("x.safetensors", safetensors),
    "NumPy": ("x.npz", numpy_savez),
    "masks alone": ("x.pt", masks_alone),
    "masks beside weights": ("x.pt", masks_beside_weights),
    "masks in a dictionary of their own": ("x.pt", masks_by_themselves),
    "`sanity.load.load(...).mask`": ("x.pt", loaded),
    "a store's `final.safetensors`": ("x.safetensors", store),
}
"""File and maker by the row of the table."""

WITHOUT_WEIGHTS = ("NumPy", "masks alone", "`sanity.load.load(...).mask`")


def wanted() -> Wanted:
    return Wanted.of(Net())


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """What initial weights from a file are to be: the products, where it is pruned."""
    for module in prunable_modules(network).values():
        if prune.is_pruned(module):
            prune.remove(module, "weight")
    return dict(network.state_dict())
