"""Checkpoints in the formats of PyTorch's history, and files that are none."""

import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sanity.core.errors import DataError
from sanity.networks.checkpoint import fit, initialise_from, load_state_dict, weights_for
from sanity.networks.foreign.names import Wanted


def network() -> nn.Module:
    return nn.Sequential(
        OrderedDict(conv1=nn.Conv2d(1, 2, 3, bias=False), bn1=nn.BatchNorm2d(2), fc=nn.Linear(2, 3))
    )


STATE = {
    name: torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(name)))
    for name, tensor in network().state_dict().items()
    if "num_batches" not in name
}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor] = STATE) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)
        assert found[name].device.type == "cpu"


def in_parallel(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return OrderedDict((f"module.{name}", tensor) for name, tensor in state.items())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "content",
    [STATE, in_parallel(STATE), {"epoch": 3, "state_dict": in_parallel(STATE), "acc": 92.5}],
    ids=["bare", "parallel", "reference"],
)
def test_reads_what_torch_saves(tmp_path: Path, content: dict[str, Any], zipped: bool) -> None:
    path = tmp_path / "pruned.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_same(load_state_dict(path))


def test_reads_a_checkpoint_with_its_optimizer(tmp_path: Path) -> None:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = {"state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "best_acc": 1.0}
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert_same(load_state_dict(tmp_path / "x.pth"), net.state_dict())


def test_reads_weights_saved_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:1")
    path = tmp_path / "gpu.pth.tar"
    torch.save({"state_dict": STATE}, path, _use_new_zipfile_serialization=False)
    assert b"cuda:1" in path.read_bytes()
    assert_same(load_state_dict(path))


class Torch03(Tensor):
    """Pickles itself as PyTorch 0.3 did, which had ``_rebuild_tensor`` only."""

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[..., Tensor], tuple[Any, ...]]:
        plain = self.as_subclass(Tensor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage = plain.storage()
        return torch._utils._rebuild_tensor, (storage, 0, tuple(plain.shape), plain.stride())


def test_reads_tensors_of_pytorch_0_3(tmp_path: Path) -> None:
    path = tmp_path / "init.pth.tar"
    old = OrderedDict((name, tensor.as_subclass(Torch03)) for name, tensor in STATE.items())
    torch.save({"state_dict": old}, path, _use_new_zipfile_serialization=False)
    assert b"_rebuild_tensor\n" in path.read_bytes()
    assert_same(load_state_dict(path))


def test_reads_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "x.safetensors")
    found = load_state_dict(tmp_path / "x.safetensors")
    assert_same({name: found[name] for name in STATE})
    assert len(found) == len(STATE)


class Malice:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    path, trace = tmp_path / "x.pth.tar", tmp_path / "trace"
    content = {"state_dict": {**STATE, "extra": Malice(trace)}}
    if form == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": Malice(trace)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(DataError) as caught:
        load_state_dict(path)
    assert not trace.exists()
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    if form != "pickle":  # a bare pickle lacks the header that PyTorch looks for first
        assert "refused, since it contains pickled code (posix.mkdir)" in message


def test_whole_networks_are_refused(tmp_path: Path) -> None:
    torch.save({"net": network()}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match=r"pickled code \(torch.nn.*save the network's state_dict"):
        load_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9, 0.99])
def test_truncated_files_are_named(tmp_path: Path, zipped: bool, share: float) -> None:
    path = tmp_path / "x.pth.tar"
    torch.save({"state_dict": STATE}, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"x\.pth\.tar: damaged, truncated or no checkpoint"):
        load_state_dict(path)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 8])
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: damaged, truncated or no checkpoint"):
        load_state_dict(tmp_path / name)


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {"a": 1.0}}, {"a": [STATE]}, 3])
def test_files_without_a_state_dict_are_named(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"x\.pth: holds no state dict"):
        load_state_dict(tmp_path / "x.pth")


def test_missing_files_and_directories_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            load_state_dict(path)


def test_fit_takes_every_tensor_and_spares_the_counter_of_batches() -> None:
    net = network()
    fit(net, STATE, Path("x.pth"))
    found = net.state_dict()
    assert int(found["bn1.num_batches_tracked"]) == 0
    assert_same({name: found[name] for name in STATE})
    fit(net, {**STATE, "bn1.num_batches_tracked": torch.tensor(7)}, Path("x.pth"))
    assert int(net.state_dict()["bn1.num_batches_tracked"]) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, "lacks fc.bias"),
        ({"classifier.weight": torch.zeros(1)}, "has in surplus classifier.weight"),
        (
            {"fc.weight": torch.zeros(10, 2)},
            r"has in another shape fc.weight \(10, 2\) instead of \(3, 2\)",
        ),
        (dict.fromkeys(STATE), r"lacks conv1.weight, bn1.weight, bn1.bias and 4 more"),
    ],
)
def test_fit_names_what_does_not_fit(change: dict[str, Tensor | None], message: str) -> None:
    net = network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    changed = {**STATE, **change}
    state = {name: tensor for name, tensor in changed.items() if tensor is not None}
    prefix = r"x\.pth: does not fit arch \(Sequential with 2 prunable layers\): it "
    with pytest.raises(DataError, match=prefix + message):
        fit(net, state, Path("x.pth"))
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())


def test_a_network_that_diverged_is_no_initialisation(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.tensor([1.0, float("nan")])}, tmp_path / "nan.pth.tar")
    with pytest.raises(DataError, match=r"nan\.pth\.tar: holds NaN or infinite values in conv1"):
        load_state_dict(tmp_path / "nan.pth.tar")


def given(path: Path, content: Any) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    torch.save(content, path / "x.pth")
    return weights_for(Wanted.of(network()), path / "x.pth")


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod.", "any.thing."])
def test_weights_are_named_as_the_network_names_them(prefix: str, tmp_path: Path) -> None:
    state, notes = given(tmp_path, {f"{prefix}{name}": one for name, one in STATE.items()})
    assert_same(state)
    told = (f"names are read without {prefix} in front of them",)
    assert notes == (told if prefix else ())
    net = network()
    initialise_from(net, tmp_path / "x.pth")
    assert_same({name: net.state_dict()[name] for name in STATE})


def test_a_networks_own_module_keeps_its_name(tmp_path: Path) -> None:
    net = nn.Sequential(OrderedDict(module=network()))
    torch.save(net.state_dict(), tmp_path / "x.pth")
    state, notes = weights_for(Wanted.of(net), tmp_path / "x.pth")
    assert_same(state, net.state_dict())
    assert notes == ()


def test_a_pruned_weight_is_the_product_of_weight_and_mask(tmp_path: Path) -> None:
    weight, keep = STATE["fc.weight"], torch.tensor([[1.0, 0.0]] * 3)
    rest = {name: one for name, one in STATE.items() if name != "fc.weight"}
    state, notes = given(tmp_path, {**rest, "fc.weight_orig": weight, "fc.weight_mask": keep})
    assert_same({name: state[name] for name in STATE}, {**STATE, "fc.weight": weight * keep})
    assert notes == ()


def test_masks_beside_initial_weights_are_told_and_not_applied(tmp_path: Path) -> None:
    told = ("the masks in it are not used: only pruner=from_checkpoint reads them",)
    keep = torch.zeros(3, 2)
    for content in ({**STATE, "fc.weight_mask": keep}, {"model": STATE, "masks": {"fc": keep}}):
        state, notes = given(tmp_path, content)
        assert_same(state)
        assert notes == told


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"fc.weight": None}, "lacks fc.weight$"),
        ({"fc.weight": None, "fc.weight_orig": STATE["fc.weight"]}, "lacks fc.weight; has in sur"),
        ({"fc.weight_orig": STATE["fc.weight"]}, "has in surplus fc.weight_orig$"),
        ({"other.weight": torch.ones(1)}, "has in surplus other.weight$"),
        ({"fc.weight": torch.ones(2, 3)}, r"another shape fc.weight \(2, 3\) instead of \(3, 2\)$"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    change: dict[str, Tensor | None], line: str, tmp_path: Path
) -> None:
    changed = {**STATE, **change}
    content = {name: one for name, one in changed.items() if one is not None}
    prefix = r"x\.pth: does not fit arch \(Sequential with 2 prunable layers\): it "
    with pytest.raises(DataError, match=prefix + ".*" + line):
        given(tmp_path, content)


def test_a_mask_of_another_shape_makes_no_product(tmp_path: Path) -> None:
    rest = {name: one for name, one in STATE.items() if name != "fc.weight"}
    content = {**rest, "fc.weight_orig": STATE["fc.weight"], "fc.weight_mask": torch.ones(2, 3)}
    line = r"holds fc\.weight_orig \(3, 2\) under a mask of the shape \(2, 3\)"
    with pytest.raises(DataError, match=line):
        given(tmp_path, content)


def test_what_belongs_to_nobody_may_have_diverged(tmp_path: Path) -> None:
    content = {f"model.{name}": one for name, one in STATE.items()}
    _, notes = given(tmp_path, {**content, "best": torch.tensor(float("inf"))})
    assert notes[1] == "what is not below model. is left out: best"
    with pytest.raises(DataError, match=r"holds NaN or infinite values in fc\.bias"):
        given(tmp_path, {**content, "model.fc.bias": torch.full((3,), float("nan"))})
