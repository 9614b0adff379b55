"""Masks of any form: which counts, what is told, what is refused."""

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import watching
from hypothesis import given, settings
from hypothesis import strategies as st
from other_tools import LAYERS, Net, meant, net, pruned, wanted, zeroed
from safetensors.torch import save
from torch import Tensor, nn

from sanity.core.errors import DataError
from sanity.networks.foreign.names import Wanted
from sanity.pruning import ticket
from sanity.pruning.foreign_mask import Found, mask_in
from sanity.pruning.masks import Mask

MASKS = meant(Net())


def found(path: Path, content: Any) -> Found:
    torch.save(content, path / "x.pth")
    return mask_in(path / "x.pth", wanted())


def same(one: Mask, other: Mask) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("ending", ["", ".weight", ".mask", ".weight_mask", ".weight.mask"])
@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32", "float16"])
def test_masks_alone_have_any_name_and_type(ending: str, kind: str, tmp_path: Path) -> None:
    state = {f"{name}{ending}": keep.to(getattr(torch, kind)) for name, keep in MASKS.items()}
    assert same(found(tmp_path, state).mask, MASKS)


def test_a_layer_without_a_mask_is_dense_and_told(tmp_path: Path) -> None:
    some = {name: MASKS[name] for name in ("conv1", "fc")}
    one = found(tmp_path, some)
    assert same({name: one.mask[name] for name in some}, some)
    assert bool(one.mask["block.conv"].all())
    assert one.notes == ("there is no mask of block.conv.weight: dense",)


def test_zeros_are_no_mask_where_there_is_another_and_are_told(tmp_path: Path) -> None:
    state = zeroed(net()).state_dict()
    zeros = int((state["fc.weight"] == 0).sum())
    one = found(tmp_path, {**state, **{f"{name}.mask": MASKS[name] for name in LAYERS[:2]}})
    assert bool(one.mask["fc"].all())
    told = f"there is no mask of fc.weight: dense, though {zeros} weights are 0 there"
    assert one.notes == (told,)


def test_an_explicit_mask_counts_whatever_its_weights(tmp_path: Path) -> None:
    state = net().state_dict()
    assert any(bool((state[f"{name}.weight"][keep] == 0).any()) for name, keep in MASKS.items())
    assert any(bool((state[f"{name}.weight"][~keep] != 0).any()) for name, keep in MASKS.items())
    one = found(tmp_path, {"model": state, "mask": MASKS})
    assert same(one.mask, MASKS)
    assert one.notes == ()


def test_a_mask_that_comes_twice_must_be_the_same(tmp_path: Path) -> None:
    state = pruned(net()).state_dict()
    assert same(found(tmp_path, {"state_dict": state, "masks": MASKS}).mask, MASKS)
    other = {**MASKS, "fc": ~MASKS["fc"]}
    with pytest.raises(DataError, match=r"x\.pth: holds two masks of fc\.weight, which differ"):
        found(tmp_path, {"state_dict": state, "masks": other})


def test_masks_of_biases_are_left_out_and_told(tmp_path: Path) -> None:
    network = pruned(net())
    nn.utils.prune.random_unstructured(network.fc, "bias", amount=0.5)
    nn.utils.prune.identity(network.bn1, "weight")
    one = found(tmp_path, network.state_dict())
    assert same(one.mask, MASKS)
    assert one.notes == ("masks of what is never pruned here are left out: fc.bias",)


@pytest.mark.parametrize("values", [[0.5, 1], [0, 2], [1, -1], [0, 255], [float("nan"), 1]])
def test_what_has_other_values_is_no_mask(values: list[float], tmp_path: Path) -> None:
    soft = torch.tensor(values)[MASKS["fc"].long()]
    line = r"fc\.weight_mask is no mask: it has other values than 0 and 1"
    with pytest.raises(DataError, match=line):
        found(tmp_path, {**net().state_dict(), "fc.weight_mask": soft})
    with pytest.raises(DataError, match=r"fc is no mask"):
        found(tmp_path, {"state_dict": net().state_dict(), "masks": {**MASKS, "fc": soft}})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"fc": torch.ones(60)}, r"it has fc \(60,\) instead of \(10, 6\)"),
        ({"fc": torch.ones(6, 10)}, r"it has fc \(6, 10\) instead of \(10, 6\)"),
        ({"fc": torch.ones(10, 1)}, r"it has fc \(10, 1\) instead of \(10, 6\)"),
        ({"conv9": torch.ones(2, 2)}, "it has in surplus conv9; arch has conv1.weight, block.conv"),
        ({"head.weight": torch.ones(2, 2)}, "it has in surplus head.weight; arch has conv1.weight"),
    ],
)
def test_masks_of_another_network_are_refused(
    change: dict[str, Tensor], line: str, tmp_path: Path
) -> None:
    prefix = r"x\.pth: does not fit arch \(Net with 3 prunable layers\): "
    with pytest.raises(DataError, match=prefix + line):
        found(tmp_path, {**MASKS, **change})


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_pruned_network_that_lacks_layers_is_another_one(prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": one for name, one in pruned(net()).state_dict().items()}
    some = {name: one for name, one in state.items() if "fc" not in name}
    line = r"it lacks fc\.weight; it has conv1\.weight, block\.conv\.weight$"
    with pytest.raises(DataError, match=line):
        found(tmp_path, some)
    dense = {**some, f"{prefix}fc.weight": net().state_dict()["fc.weight"]}
    assert same(found(tmp_path, dense).mask, {**MASKS, "fc": torch.ones(10, 6, dtype=torch.bool)})


def test_tickets_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no weight in it is 0, and it has no mask, so it is not"):
        found(tmp_path, {name: one + 10 for name, one in net().state_dict().items()})
    ones = {name: torch.ones_like(keep) for name, keep in MASKS.items()}
    with pytest.raises(DataError, match="its masks keep all weights, so it is not pruned"):
        found(tmp_path, ones)
    with pytest.raises(DataError, match="keeps no weight at all"):
        found(tmp_path, {name: ~keep for name, keep in ones.items()})


def test_a_layer_that_keeps_nothing_is_no_reason_to_take_weights_for_masks(tmp_path: Path) -> None:
    state = zeroed(net()).state_dict()
    state["fc.weight"].zero_()
    one = found(tmp_path, state)
    assert same(one.mask, {**MASKS, "fc": torch.zeros(10, 6, dtype=torch.bool)})


def test_weights_that_diverged_are_refused_where_zeros_count(tmp_path: Path) -> None:
    state = zeroed(net()).state_dict()
    state["fc.weight"][0, 0] = float("nan")
    with pytest.raises(DataError, match=r"holds NaN or infinite values in fc\.weight"):
        found(tmp_path, state)
    assert same(found(tmp_path, {"state_dict": state, "masks": MASKS}).mask, MASKS)


def test_an_array_without_a_name_is_the_one_layers(tmp_path: Path) -> None:
    keep = np.array([[True, False], [False, True]])
    np.save(tmp_path / "x.npy", keep)
    one = mask_in(tmp_path / "x.npy", Wanted.of(nn.Sequential(nn.Linear(2, 2))))
    assert torch.equal(one.mask["0"], torch.from_numpy(keep))
    line = r"is an array without a name, and arch \(Net with 3 prunable layers\) has several"
    with pytest.raises(DataError, match=line):
        mask_in(tmp_path / "x.npy", wanted())


def test_truth_values_of_other_bytes_are_truth_values(tmp_path: Path) -> None:
    state = {name: keep.clone() for name, keep in MASKS.items()}
    for keep in state.values():
        keep.view(torch.uint8).mul_(7)
    one = found(tmp_path, state)
    assert same(one.mask, MASKS)
    assert all(int(one.mask[name].sum()) == int(keep.sum()) for name, keep in MASKS.items())


@pytest.mark.parametrize("change", ["short", "shape", "lacks"])
def test_a_ticket_of_a_store_that_is_damaged_is_named(change: str, tmp_path: Path) -> None:
    small = ticket.compress(net().state_dict(), MASKS)
    if change == "short":
        small["fc.weight.mask"] = small["fc.weight.mask"][1:]
    elif change == "shape":
        small["fc.weight.shape"] = torch.tensor([10**9, 10**9])
    else:
        del small["fc.weight"]
    with pytest.raises(DataError, match="is no ticket of a store, or damaged"):
        found(tmp_path, small)


def assert_is_a_line(error: DataError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 3000


def as_bytes(write: Any) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


ARRAYS: dict[str, Any] = {name: keep.numpy() for name, keep in MASKS.items()}
FILES = {
    "prune.pth": as_bytes(lambda file: torch.save(pruned(net()).state_dict(), file)),
    "beside.pth": as_bytes(
        lambda file: torch.save({"model": net().state_dict(), "mask": ARRAYS, "n": ARRAYS}, file)
    ),
    "legacy.pth": as_bytes(
        lambda file: torch.save({"mask": ARRAYS}, file, _use_new_zipfile_serialization=False)
    ),
    "x.npz": as_bytes(lambda file: np.savez(file, **ARRAYS)),
    "small.npz": as_bytes(lambda file: np.savez_compressed(file, **ARRAYS)),
    "x.npy": as_bytes(lambda file: np.save(file, ARRAYS["fc"])),
    "x.safetensors": save(ticket.compress(net().state_dict(), MASKS)),
}


@settings(max_examples=watching.examples(300), deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_damaged_files_are_a_mask_or_a_line(data: st.DataObject, name: str) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(content)
        with watching.only_below():
            try:
                one = mask_in(path, wanted())
            except DataError as error:
                assert_is_a_line(error)
                return
    for layer, keep in MASKS.items():
        assert one.mask[layer].dtype == torch.bool
        assert one.mask[layer].shape == keep.shape
    assert all(note.isprintable() for note in one.notes)


plain = st.recursive(
    st.none() | st.integers() | st.sampled_from([*MASKS.values(), *ARRAYS.values()]),
    lambda inner: st.dictionaries(
        st.sampled_from(["state_dict", "model", "mask", "masks", "ema", *LAYERS, "fc.weight", "x"]),
        inner,
        max_size=4,
    ),
)


@settings(max_examples=watching.examples(300), deadline=None)
@given(content=plain)
def test_files_of_any_form_are_a_mask_or_a_line(content: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        try:
            one = found(Path(directory), content)
        except DataError as error:
            assert_is_a_line(error)
            return
    assert list(one.mask) == list(LAYERS)
