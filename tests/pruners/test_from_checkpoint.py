from pathlib import Path

import pytest
import torch
from pruning_cases import INPUT_SHAPE, save_pruned, scoring, tiny_network
from torch import nn

from sanity.core.errors import DataError
from sanity.networks.blueprint import blueprint
from sanity.networks.build import skeleton
from sanity.pruners.base import Given
from sanity.pruners.from_checkpoint import FromCheckpoint

OUTLINE = blueprint(tiny_network(), INPUT_SHAPE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_pruned(tmp_path / "pruned.pth.tar", OUTLINE, keep_every=4)


def given(path: Path) -> Given:
    """What is told of a file before anything has memory."""
    return FromCheckpoint(str(path)).given(skeleton(tiny_network))


def test_the_mask_is_what_is_not_zero(path: Path) -> None:
    scores = FromCheckpoint(str(path)).score(scoring(tiny_network()))
    for layer in OUTLINE.layers:
        expected = torch.arange(layer.total) % 4 == 0
        assert torch.equal(scores[layer.name].flatten() == 1, expected)
    counts = {layer.name: -(-layer.total // 4) for layer in OUTLINE.layers}
    assert given(path) == Given(counts)


def test_a_mask_that_is_there_counts_more_than_zeros(tmp_path: Path) -> None:
    state = tiny_network().state_dict()
    state["0.weight_mask"] = torch.zeros(OUTLINE.layers[0].shape)
    state["0.weight_mask"][0] = 1
    state["0.weight"][0] = 0
    torch.save(state, tmp_path / "x.pth")
    found = given(tmp_path / "x.pth")
    assert dict(found.kept) == {"0": 18, "3": 180, "7": 15}
    assert found.notes == ("pruner.path: there is no mask of 3.weight, 7.weight: dense",)


def test_an_unpruned_file_is_refused(tmp_path: Path) -> None:
    torch.save(tiny_network().state_dict(), tmp_path / "init.pth.tar")
    with pytest.raises(DataError, match=r"^pruner\.path=[^:]*init.pth.tar: no weight in it is 0"):
        given(tmp_path / "init.pth.tar")


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(2, 4, 1)).state_dict(), tmp_path / "other.pth")
    unfit = r"does not fit arch \(Sequential with 3 prunable layers\): it "
    with pytest.raises(DataError, match=rf"{unfit}lacks 3.weight, 7.weight; it has 0.weight"):
        given(tmp_path / "other.pth")
    torch.save({"x.weight": torch.zeros(2, 2)}, tmp_path / "nothing.pth")
    surplus = rf"{unfit}has in surplus x.weight; arch has 0.weight, 3.weight, 7.weight"
    with pytest.raises(DataError, match=surplus):
        FromCheckpoint(str(tmp_path / "nothing.pth")).score(scoring(tiny_network()))


def test_a_deeper_network_of_the_same_layers_is_refused(tmp_path: Path) -> None:
    deeper = nn.Sequential(*tiny_network().children(), nn.Linear(3, 3))
    for weight in (one for one in deeper.parameters() if one.dim() > 1):
        weight.data.flatten()[::2] = 0
    torch.save(deeper.state_dict(), tmp_path / "deeper.pth")
    with pytest.raises(DataError, match=r"it has in surplus 8.weight; arch has 0.weight"):
        given(tmp_path / "deeper.pth")


@pytest.mark.parametrize("name", ["absent.pth", "a\0b", "x" * 5000])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataError, match=r"^pruner\.path=.*: (no such file|cannot be read: File name too long)"
    ):
        given(tmp_path / name)


def test_a_file_that_changes_is_read_again(path: Path) -> None:
    first = given(path)
    save_pruned(path, OUTLINE, keep_every=2)
    assert sum(given(path).kept.values()) > sum(first.kept.values())
