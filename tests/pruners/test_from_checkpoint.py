from pathlib import Path

import pytest
import torch
from pruning_cases import INPUT_SHAPE, save_pruned, scoring, tiny_network
from torch import nn

from sanity.core.errors import ConfigError, DataError
from sanity.networks.blueprint import blueprint
from sanity.pruners.from_checkpoint import FromCheckpoint, prunable_in

OUTLINE = blueprint(tiny_network(), INPUT_SHAPE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_pruned(tmp_path / "pruned.pth.tar", OUTLINE, keep_every=4)


def test_the_mask_is_what_is_not_zero(path: Path) -> None:
    pruner = FromCheckpoint(str(path))
    scores = pruner.score(scoring(tiny_network()))
    for layer in OUTLINE.layers:
        expected = torch.arange(layer.total) % 4 == 0
        assert torch.equal(scores[layer.name].flatten() == 1, expected)
    assert pruner.kept(OUTLINE.total, 0.5) == sum(-(-layer.total // 4) for layer in OUTLINE.layers)


def test_biases_and_batch_norms_are_not_weights() -> None:
    assert list(prunable_in(tiny_network().state_dict())) == OUTLINE.names


def test_an_unpruned_file_is_refused(tmp_path: Path) -> None:
    torch.save(tiny_network().state_dict(), tmp_path / "init.pth.tar")
    pruner = FromCheckpoint(str(tmp_path / "init.pth.tar"))
    with pytest.raises(ConfigError, match=r"pruner\.path=.*init.pth.tar: no weight in it is 0"):
        pruner.kept(OUTLINE.total, 0.0)


def test_another_network_is_refused(tmp_path: Path, path: Path) -> None:
    with pytest.raises(ConfigError, match=r"it has 267 prunable weights instead of 300"):
        FromCheckpoint(str(path)).kept(300, 0.0)
    torch.save(nn.Sequential(nn.Conv2d(2, 4, 1)).state_dict(), tmp_path / "other.pth")
    other = FromCheckpoint(str(tmp_path / "other.pth"))
    with pytest.raises(ConfigError, match=r"for 0 of the shape .* it has the shape \(4, 2, 1, 1\)"):
        other.score(scoring(tiny_network()))
    torch.save({"x.weight": torch.zeros(2, 2)}, tmp_path / "nothing.pth")
    with pytest.raises(ConfigError, match="it has no such layer"):
        FromCheckpoint(str(tmp_path / "nothing.pth")).score(scoring(tiny_network()))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^pruner\.path=.*absent\.pth: no such file"):
        FromCheckpoint(str(tmp_path / "absent.pth")).kept(OUTLINE.total, 0.0)
