"""Every row of the table of imports: a file by the tool itself, read as what was meant."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import other_tools
import pytest
import torch
from other_tools import MAKERS, WITHOUT_WEIGHTS, Net, library, meant, net, pruned, wanted, zeroed
from safetensors.torch import save_file
from torch import nn

from sanity.core.config import PROJECT
from sanity.core.errors import DataError
from sanity.networks.checkpoint import initialise_from
from sanity.networks.foreign.names import Wanted
from sanity.pruning.foreign_mask import mask_in
from sanity.pruning.masks import Mask

TABLE = (PROJECT / "conf" / "README.md").read_text(encoding="utf-8")


def made(name: str, directory: Path) -> Path:
    file, maker = MAKERS[name]
    maker(directory / file)
    return directory / file


def assert_same(found: Mask, expected: Mask) -> None:
    assert list(found) == list(expected)
    for layer, keep in expected.items():
        assert found[layer].dtype == torch.bool
        assert torch.equal(found[layer], keep), layer


def test_the_table_has_these_rows() -> None:
    section = TABLE.split("## Tickets and weights of other tools")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", section, re.M)
    assert [row for row in rows if row not in ("made by", "---")] == list(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_the_mask_is_the_one_that_was_meant(name: str, tmp_path: Path) -> None:
    assert_same(mask_in(made(name, tmp_path), wanted()).mask, meant(Net()))


EXPECTED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "`torch.nn.utils.prune`": pruned,
    "`nn.DataParallel`": pruned,
    "`torch.compile`": pruned,
    "Lightning": pruned,
    "timm": pruned,
    "safetensors": pruned,
    "masks beside weights": lambda network: network,
    "masks in a dictionary of their own": lambda network: network,
}
"""What the weights are; those of the others are zeroed."""


@pytest.mark.parametrize("name", [name for name in MAKERS if "store" not in name])
def test_so_are_initial_weights(name: str, tmp_path: Path) -> None:
    path, network = made(name, tmp_path), Net()
    if name in WITHOUT_WEIGHTS:
        with pytest.raises(DataError, match=r"holds masks alone, of .* and no weights"):
            initialise_from(network, path)
        return
    initialise_from(network, path)
    expected = other_tools.state_of(EXPECTED.get(name, zeroed)(net()))
    found = network.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize("kind", ["torch", "safetensors", "numpy"])
def test_masks_of_load_are_read_however_they_are_saved(kind: str, tmp_path: Path) -> None:
    masks, path = meant(Net()), tmp_path / "x.npz"
    if kind == "numpy":
        arrays: dict[str, Any] = {name: keep.numpy() for name, keep in masks.items()}
        np.savez(path, **arrays)
    elif kind == "torch":
        torch.save(masks, path := tmp_path / "x.pth")
    else:
        save_file(masks, path := tmp_path / "x.safetensors")
    assert_same(mask_in(path, wanted()).mask, masks)


def test_networks_of_timm_are_known_by_their_own_names(tmp_path: Path) -> None:
    def make() -> nn.Module:
        network: nn.Module = library("timm").create_model("test_resnet", num_classes=10)
        return network

    torch.save({"state_dict": pruned(net(make)).state_dict()}, tmp_path / "x.pth")
    found = mask_in(tmp_path / "x.pth", Wanted.of(make()))
    assert_same(found.mask, meant(make()))
    assert not found.notes
