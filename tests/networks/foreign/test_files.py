"""NumPy's files: arrays of numbers are read as bytes; objects, bombs and lies are refused."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import watching
from torch import Tensor

from sanity.core.errors import DataError
from sanity.networks.foreign import files
from sanity.networks.foreign.files import read

ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(6, dtype=">i4").reshape(2, 3)[:, ::2],
    np.array([True, False]),
    np.zeros((0, 3), np.float16),
    np.array(2.5),
    np.array([1, 2], "u1"),
]


def only(path: Path) -> Any:
    with watching.only_below():
        return read(path)[0]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda one: f"{one.dtype}{one.shape}")
@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
def test_arrays_are_read_as_they_were_saved(array: Any, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    with path.open("wb") as file:
        if kind == "npy":
            np.save(file, array)
        else:
            (np.savez if kind == "npz" else np.savez_compressed)(file, **{"a.b": array})
    found = only(path) if kind == "npy" else only(path)["a.b"]
    assert type(found) is Tensor
    assert found.shape == array.shape
    assert np.array_equal(found.numpy(), array)
    found.zero_()  # its memory is its own


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"conv1": [1]}], dtype=object),
        np.array([None]),
        np.zeros(2, [("a", object)]),
    ],
)
def test_objects_are_refused_since_they_are_pickles(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "x.npz", a=np.ones(2), b=array)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match=rf"{name}: refused, since it holds Python objects"):
            only(tmp_path / name)


@pytest.mark.parametrize("kind", ["c8", "U3", "S3", "M8[s]", "u2", "u4", "u8", "g", "f4,i4"])
def test_other_arrays_are_named(kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(2, kind))
    with pytest.raises(DataError, match=r"x\.npy: holds an array of .*; bool, uint8, int8 to"):
        only(tmp_path / "x.npy")


def npy(header: str, body: bytes = bytes(8), version: tuple[int, int] = (1, 0)) -> bytes:
    """An array by hand."""
    text = (header + "\n").encode()
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text + body


LIES = {
    "more": "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
    "fewer": "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000, 10000000000)}",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -1)}",
    "no numbers": "{'descr': '<f4', 'fortran_order': False, 'shape': ('a',)}",
    "no shape": "{'descr': '<f4', 'fortran_order': False}",
    "no type": "{'descr': 'x9', 'fortran_order': False, 'shape': (2,)}",
    "no header": "[]",
    "code": "__import__('os').mkdir('trace')",
    "deep": "(" * 5000,
    "long": "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}" + " " * 20_000,
}


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 9)])
@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie_are_refused(lie: str, version: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy(LIES[lie], version=version))
    with pytest.raises(DataError, match=r"x\.npy: damaged, truncated or no checkpoint"):
        only(tmp_path / "x.npy")


def test_an_archive_is_not_inflated_beyond_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(10**7, bool))
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    assert len(only(tmp_path / "x.npz")["a"]) == 10**7
    monkeypatch.setattr(files, "INFLATED", 10**6)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was inflated"))
    with pytest.raises(DataError, match=r"x\.npz: claims 10,000,128 bytes of arrays: 1,000,000"):
        only(tmp_path / "x.npz")


def test_parts_that_are_larger_than_they_say_are_refused(tmp_path: Path) -> None:
    """The directory of a zip may lie about sizes; no more than it says is read."""
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(10**6, bool))
    size = (10**6 + 128).to_bytes(4, "little")
    content = file.getvalue()
    assert size in content
    (tmp_path / "x.npz").write_bytes(content.replace(size, (500).to_bytes(4, "little")))
    with pytest.raises(DataError, match="damaged, truncated or no checkpoint"):
        only(tmp_path / "x.npz")


def test_names_that_come_twice_are_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.ones(2))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", file.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.npy", file.getvalue())
    with pytest.raises(DataError, match="damaged"):
        only(tmp_path / "x.npz")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_truncated_files_are_named(share: float, name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(100))
    np.savez(tmp_path / "x.npz", a=np.ones(100), b=np.ones(3))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=rf"{name}: damaged, truncated or no checkpoint"):
        only(tmp_path / name)


def test_a_file_of_torch_may_have_any_ending_but_that_of_safetensors(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "x.npz")
    assert list(only(tmp_path / "x.npz")) == ["a"]
    torch.save({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="damaged"):
        only(tmp_path / "x.safetensors")


def test_scripts_of_torch_are_code(tmp_path: Path) -> None:
    class One(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(One(), torch.ones(1)), tmp_path / "x.pt")
    with pytest.raises(DataError, match="damaged, truncated or no checkpoint"):
        only(tmp_path / "x.pt")
