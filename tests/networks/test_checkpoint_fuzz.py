"""Whatever a checkpoint of others holds, it is a state dict or refused; no code of it runs."""

import io
import pickle
import tempfile
import unicodedata
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import watching
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor, nn

from sanity.core.errors import DataError
from sanity.networks.checkpoint import fit, load_state_dict
from sanity.networks.foreign import files, forms

STATE = {
    "conv.weight": torch.arange(8.0).reshape(2, 1, 2, 2),
    "bn.num_batches_tracked": torch.tensor(3),
    "mask": torch.tensor([True, False]),
}
FUZZ = settings(max_examples=watching.examples(300), deadline=None)


def saved(content: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


FILES = {
    "zip.pth": saved({"state_dict": STATE, "epoch": 3}),
    "legacy.pth": saved(OrderedDict(STATE), zipped=False),
    "parameter.pth": saved({"w": nn.Parameter(torch.ones(3))}),
    "x.safetensors": save(STATE),
}


def loaded(name: str, content: bytes) -> dict[str, Tensor] | None:
    """The state dict in a file, None where it is refused as it should be."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(content)
        with watching.only_below():
            try:
                return load_state_dict(path)
            except DataError as error:
                assert_is_a_line(error)
                return None


def assert_is_a_line(error: DataError) -> None:
    line = str(error)
    assert 0 < len(line) < 3000
    assert not {"Cc", "Cs", "Zl", "Zp"}.intersection(map(unicodedata.category, line)), repr(line)


def assert_is_usable(state: dict[str, Tensor]) -> None:
    assert all(type(name) is str for name in state)
    for tensor in state.values():
        assert type(tensor) is Tensor
        assert not tensor.requires_grad
        assert tensor.dtype in forms.DTYPES
        assert bool(torch.isfinite(tensor).all())
        tensor.clone()


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """``content`` with up to three bytes or stretches of it changed."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "set", "cut", "drop", "insert", "number"]))
        if kind == "set":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            data[at : at + 4] = draw(st.sampled_from([bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f"]))
    return bytes(data)


@FUZZ
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_damaged_checkpoints(data: st.DataObject, name: str) -> None:
    state = loaded(name, data.draw(damaged(FILES[name])))
    if state is not None:
        assert_is_usable(state)


def rewritten(content: bytes, pickled: bytes) -> bytes:
    """A file of torch.save with another pickle in it, whose checksum is right."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            body = pickled if info.filename.endswith("data.pkl") else old.read(info)
            new.writestr(info.filename, body)
    return file.getvalue()


def pickle_in(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return archive.read(name)


PICKLES = {name: pickle_in(FILES[name]) for name in ("zip.pth", "parameter.pth")}


@FUZZ
@given(data=st.data(), name=st.sampled_from(sorted(PICKLES)))
def test_damaged_pickles_in_sound_archives(data: st.DataObject, name: str) -> None:
    state = loaded(name, rewritten(FILES[name], data.draw(damaged(PICKLES[name]))))
    if state is not None:
        assert_is_usable(state)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(list(STATE.values())),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
)


@FUZZ
@given(content=plain, key=st.sampled_from([None, "state_dict"]), zipped=st.booleans())
def test_checkpoints_of_any_form(content: Any, key: str | None, zipped: bool) -> None:
    state = loaded("x.pth", saved({key: content} if key else content, zipped))
    if state is not None:
        assert_is_usable(state)


def odd_tensors() -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "sparse": torch.eye(3).to_sparse(),
            "csr": torch.eye(3).to_sparse_csr(),
            "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
            "meta": torch.empty(3, device="meta"),
            "complex": torch.ones(3, dtype=torch.complex64),
            "float8": torch.ones(3).to(torch.float8_e4m3fn),
            "uint16": torch.ones(3).to(torch.uint16),
            "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        }


ODD = odd_tensors()


@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_dense_real_numbers_are_named(kind: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"good": torch.ones(2), "bad": ODD[kind]}, tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"holds no dense array of real numbers in bad|damaged"):
        load_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("kind", ["complex", "float8", "uint16"])
def test_the_same_holds_for_safetensors(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(save({"bad": ODD[kind]}))
    with pytest.raises(DataError, match="holds no dense array of real numbers in bad"):
        load_state_dict(tmp_path / "x.safetensors")


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.bfloat16])
def test_other_numbers_are_finite_or_not_as_well(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3, dtype=dtype)}, tmp_path / "x.pth")
    assert load_state_dict(tmp_path / "x.pth")["w"].dtype == dtype


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_may_not_claim_more_than_its_file_holds(zipped: bool) -> None:
    huge = torch.ones(1).expand(10**6, 10**6)  # four terabytes of the same number
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.pth"
        path.write_bytes(saved({"w": huge}, zipped))
        with pytest.raises(DataError, match=r"claims 4,000,000,000,000 bytes of values"):
            load_state_dict(path)


def test_weights_under_two_names_are_fine(tmp_path: Path) -> None:
    shared = torch.ones(1000)
    torch.save({"a": shared, "b": shared, "c": shared}, tmp_path / "x.pth")
    assert list(load_state_dict(tmp_path / "x.pth")) == ["a", "b", "c"]


@pytest.mark.parametrize("number", [10**12, 2**63 - 1, 10**30, -1])
@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_absurd_sizes_in_pickles_are_refused(number: int, name: str) -> None:
    """Numbers of storage and shape are replaced where they stand, as pickle writes them."""
    content = FILES[name]
    pickled = PICKLES.get(name, content)
    assert pickled.count(b"K\x08") >= 1  # the 8 weights of the convolution
    changed = pickled.replace(b"K\x08", pickle.dumps(number, protocol=2)[2:-1])
    assert loaded(name, rewritten(content, changed) if name in PICKLES else changed) is None


def test_a_compressed_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", PICKLES["zip.pth"])
        archive.writestr("x/data/0", bytes(50 << 20))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was inflated"))
    assert loaded("x.pth", file.getvalue()) is None


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.pth").open("wb") as file:
        file.truncate(files.MOST + 1)
    with pytest.raises(DataError, match=r"x\.pth: has more than 4,294,967,296 bytes"):
        load_state_dict(tmp_path / "x.pth")


def test_a_dictionary_whose_methods_are_replaced_is_read_all_the_same() -> None:
    content = OrderedDict(STATE)
    names = ["items", "get", "keys", "values", "__iter__"]
    for name in names:  # under a name of the same length, since torch.save needs the methods
        content.__dict__[name[:-1] + "Q"] = 5
    file = saved(content)
    pickled = pickle_in(file)
    for name in names:
        pickled = pickled.replace(name[:-1].encode() + b"Q", name.encode())
    state = loaded("x.pth", rewritten(file, pickled))
    assert state is not None
    assert list(state) == list(STATE)


def test_a_tensor_whose_methods_are_replaced_is_read_all_the_same(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(3))
    for name in ("isfinite", "detach", "numel", "element_size", "clone"):
        setattr(weight, name, 5)
    torch.save({"w": weight}, tmp_path / "x.pth")
    found = load_state_dict(tmp_path / "x.pth")["w"]
    assert type(found) is Tensor
    assert torch.equal(found.clone(), torch.ones(3))


def test_archives_of_pytorchs_beginnings_are_refused_without_unpacking(tmp_path: Path) -> None:
    import tarfile

    path = tmp_path / "x.pth.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with watching.only_below(), pytest.raises(DataError, match="damaged, truncated or no checkp"):
        load_state_dict(path)


NASTY = "\x1b[31mred\n\ud800\u2028" + "x" * 5000


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.ones(1, dtype=torch.cfloat)])
def test_names_are_printable(value: Tensor) -> None:
    content = saved({NASTY: value, "y": torch.ones(1)}, zipped=False)
    assert loaded("x.pth", content) is None
    assert loaded("\x1b[31m\n.pth", content) is None
    assert loaded("\x1b[31m\n.safetensors", b"") is None


def test_names_are_printable_where_they_do_not_fit() -> None:
    with pytest.raises(DataError, match="does not fit arch") as caught:
        fit(nn.Linear(2, 2), {NASTY: torch.ones(1)}, Path("\x1b[31m\n.pth"))
    assert_is_a_line(caught.value)


def test_a_parameter_that_comes_twice_is_refused(tmp_path: Path) -> None:
    torch.save({"module.w": torch.ones(1), "w": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"x\.pth: holds parameters twice, with and without module"):
        load_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x.pth", "a\0b", "/\ud800"])
def test_a_path_that_cannot_be_is_no_file(path: str) -> None:
    with pytest.raises(DataError, match="no such file") as caught:
        load_state_dict(Path(path))
    assert_is_a_line(caught.value)
