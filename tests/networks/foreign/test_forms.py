"""Under which names trainings leave a network, and what happens where several could be meant."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sanity.core.errors import DataError
from sanity.networks.foreign.forms import AVERAGES, WRAPPERS, Content, contents

STATE = {"conv.weight": torch.arange(4.0), "bn.num_batches_tracked": torch.tensor(3)}
MASK = {"conv": torch.tensor([True, False, True, True])}


def saved(path: Path, content: Any) -> Content:
    torch.save(content, path / "x.pth")
    return contents(path / "x.pth")


def assert_state(found: dict[str, Tensor], expected: dict[str, Tensor] = STATE) -> None:
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("name", [*WRAPPERS, *AVERAGES])
@pytest.mark.parametrize("beside", [{}, {"epoch": 3, "optimizer": {"state": {0: STATE}}, "x": "y"}])
def test_a_state_dict_is_found_below_each_name(
    name: str, beside: dict[str, Any], tmp_path: Path
) -> None:
    found = saved(tmp_path, {**beside, name: STATE})
    assert_state(found.tensors)
    assert not found.masks
    told = (f"{name}, an average over the training, is read: there is no other",)
    assert found.notes == (told if name in AVERAGES else ())


@pytest.mark.parametrize("beside", [{}, {"best": torch.tensor(92.5), "epoch": 3}])
def test_wrappers_may_be_wrapped(beside: dict[str, Any], tmp_path: Path) -> None:
    assert_state(saved(tmp_path, {"model": {"state_dict": STATE, **beside}, **beside}).tensors)
    assert_state(saved(tmp_path, {"model": {"net": {"weights": STATE}}}).tensors)


def test_numbers_beside_tensors_are_passed_over(tmp_path: Path) -> None:
    assert_state(saved(tmp_path, {**STATE, "epoch": 3, "acc": np.float64(1), 5: "x"}).tensors)


def test_a_tensor_of_a_wrappers_name_is_a_tensor(tmp_path: Path) -> None:
    state = {"weights": torch.ones(2), "mask": torch.ones(2), "model": torch.ones(1)}
    assert_state(saved(tmp_path, state).tensors, state)


@pytest.mark.parametrize("average", AVERAGES)
def test_an_average_beside_is_told_and_not_read(average: str, tmp_path: Path) -> None:
    other = {"conv.weight": torch.zeros(4)}
    found = saved(tmp_path, {average: other, "state_dict": STATE})
    assert_state(found.tensors)
    assert found.notes == (f"state_dict is read, {average} beside it not",)


@pytest.mark.parametrize("names", [("model", "net"), ("state_dict_ema", "ema"), WRAPPERS[:4]])
def test_several_are_refused_with_their_names(names: tuple[str, ...], tmp_path: Path) -> None:
    several = " and ".join(names)
    with pytest.raises(DataError, match=rf"x\.pth: holds several state dicts, {several}, and any"):
        saved(tmp_path, dict.fromkeys(names, STATE))


@pytest.mark.parametrize("name", ["mask", "masks"])
def test_masks_may_have_a_dictionary_of_their_own(name: str, tmp_path: Path) -> None:
    for content in (
        {"state_dict": STATE, name: MASK},
        {**STATE, name: MASK},
        {"model": {"state_dict": STATE, name: MASK}},
    ):
        found = saved(tmp_path, content)
        assert_state(found.tensors)
        assert_state(found.masks, MASK)
    found = saved(tmp_path, {name: MASK, "epoch": 3})
    assert not found.tensors
    assert_state(found.masks, MASK)


@pytest.mark.parametrize(
    "masks", [[torch.ones(4)], {0: torch.ones(4)}, {"conv": [1, 0]}, {"conv": MASK}]
)
def test_masks_that_nobody_can_name_are_refused_and_not_ignored(masks: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="masks in it maps no names of layers to tensors"):
        saved(tmp_path, {"state_dict": STATE, "masks": masks})


@pytest.mark.parametrize("masks", [[], {}, None, 0.5, "conv"])
def test_no_masks_are_none(masks: Any, tmp_path: Path) -> None:
    found = saved(tmp_path, {"state_dict": STATE, "mask": masks})
    assert_state(found.tensors)
    assert not found.masks


def test_two_dictionaries_of_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds both masks and mask"):
        saved(tmp_path, {"state_dict": STATE, "mask": MASK, "masks": MASK})
    with pytest.raises(DataError, match="holds masks beside state_dict and within"):
        saved(tmp_path, {"state_dict": {**STATE, "mask": MASK}, "masks": MASK})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epoch": 3, "history": [1]}, "; it has epoch, history"),
        ({"checkpoint": STATE}, "; it has checkpoint"),
        ([STATE], ", but a list"),
        (3, ", but a int"),
        ({}, ""),
        ({1: STATE["conv.weight"]}, ""),
        ({"state_dict": {"a": [1]}}, "; it has state_dict"),
    ],
)
def test_what_is_there_instead_is_named(content: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        saved(tmp_path, content)
    start = "holds no state dict, which maps names of parameters to tensors"
    assert str(caught.value) == f"{tmp_path / 'x.pth'}: {start}{told}"


def test_a_file_that_wraps_itself_ends(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3}
    content["model"] = content["state_dict"] = content["ema"] = content
    with pytest.raises(DataError, match="holds no state dict"):
        saved(tmp_path, content)


def test_masks_are_looked_at_as_closely_as_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dense array of real numbers in masks\.conv"):
        saved(tmp_path, {"state_dict": STATE, "masks": {"conv": torch.ones(4, dtype=torch.cfloat)}})
    with pytest.raises(DataError, match=r"claims .* bytes of values"):
        saved(tmp_path, {"masks": {"conv": torch.ones(1).expand(10**6, 10**6)}})
