"""What may lie beside tensors is passed over, and none of it is run, whatever it is called with."""

import argparse
import collections
import datetime
import io
import pathlib
import pickle
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import watching
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sanity.core.errors import DataError
from sanity.networks.checkpoint import load_state_dict
from sanity.networks.foreign.files import read
from sanity.networks.foreign.stand_ins import STAND_INS, Array, Inert, Kind, allowed, tensor_of

WEIGHTS = torch.arange(6.0).reshape(2, 3)
BESIDE: dict[str, Any] = {
    "float": np.float64(93.5),
    "float32": np.float32(1),
    "int": np.int64(3),
    "truth": np.bool_(True),
    "text": np.str_("a"),
    "dtype": np.dtype("f4"),
    "array": np.arange(3),
    "objects": np.array([{"a": 1}, None], dtype=object),
    "arguments": argparse.Namespace(lr=0.1, out=pathlib.PosixPath("/a/b"), data=None),
    "simple": types.SimpleNamespace(a=1),
    "pure": pathlib.PurePosixPath("a"),
    "windows": pathlib.PureWindowsPath("c:/a"),
    "ordered": collections.OrderedDict(a=[1, None, True, 2.5, "b", 10**30]),
    "default": collections.defaultdict(list, a=[1]),
    "lists": collections.defaultdict(dict, b={}),
    "deque": collections.deque([1, 2], maxlen=3),
    "counter": collections.Counter("aab"),
    "sets": [{1}, frozenset([2])],
    "time": [datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 1), datetime.timedelta(1)],
    "zone": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    "settings": OmegaConf.create({"a": [1, "b", None, 2.5, True], "c": {"d": "${a}"}}),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_trainings_leave_beside_weights_is_passed_over(
    kind: str, zipped: bool, tmp_path: Path
) -> None:
    content = {"epoch": 3, "args": BESIDE[kind], "state_dict": {"w": WEIGHTS}, "best": BESIDE[kind]}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    with watching.only_below():
        found = load_state_dict(tmp_path / "x.pth")
    assert list(found) == ["w"]
    assert torch.equal(found["w"], WEIGHTS)


def test_everything_at_once_and_none_of_it_is_what_it_was(tmp_path: Path) -> None:
    torch.save({**BESIDE, "state_dict": {"w": WEIGHTS}}, tmp_path / "x.pth")
    content, _ = read(tmp_path / "x.pth")
    plain = (Inert, dict, collections.Counter, list)
    assert all(isinstance(content[name], plain) for name in BESIDE)
    assert vars(content["arguments"]) == {}
    assert content["default"] == {"a": [1]}
    assert content["deque"] == [1, 2]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i4").reshape(2, 3)[:, ::2],
        np.array([True, False]),
        np.zeros((0, 3), np.float16),
        np.array(2.5),
    ],
)
def test_numpys_arrays_are_read_from_their_bytes(array: Any, tmp_path: Path) -> None:
    torch.save({"w": array}, tmp_path / "x.pth")
    found = load_state_dict(tmp_path / "x.pth")["w"]
    assert found.shape == array.shape
    assert np.array_equal(found.numpy(), array)


OBJECTS = [np.array([None]), np.array(["a"]), np.ones(2, complex), np.ones(2, "M8[s]")]


@pytest.mark.parametrize("array", OBJECTS, ids=lambda array: str(array.dtype))
def test_arrays_of_other_things_are_named(array: Any, tmp_path: Path) -> None:
    torch.save({"w": array, "v": WEIGHTS}, tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"x\.pth: holds no dense array of real numbers in w"):
        load_state_dict(tmp_path / "x.pth")


def array_of(state: Any) -> Array:
    found = Array()
    found.__setstate__(state)
    return found


def kind(code: Any, order: Any = "<") -> Kind:
    found = Kind(code, False, True)
    found.__setstate__((3, order, None, None, None, -1, -1, 0))
    return found


LIES = {
    "nothing": None,
    "short": (1, (2,)),
    "no kind": (1, (2,), np.dtype("f4"), False, bytes(8)),
    "too few bytes": (1, (2,), kind("f4"), False, bytes(7)),
    "too many": (1, (2,), kind("f4"), False, bytes(9)),
    "huge": (1, (10**9, 10**9), kind("f4"), False, bytes(8)),
    "negative": (1, (-2, -1), kind("f4"), False, bytes(8)),
    "no sizes": (1, ("2",), kind("f4"), False, bytes(8)),
    "a list": (1, [2], kind("f4"), False, bytes(8)),
    "many axes": (1, (1,) * 100, kind("f4"), False, bytes(4)),
    "objects": (1, (1,), kind("O8"), False, bytes(8)),
    "a record": (1, (1,), kind("V8"), False, bytes(8)),
    "no code": (1, (1,), kind(None), False, bytes(8)),
    "no order": (1, (1,), kind("f4", "x"), False, bytes(4)),
    "text": (1, (1,), kind("f4"), False, "abcd"),
    "a tensor": (1, (1,), kind(WEIGHTS, WEIGHTS), False, WEIGHTS),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_array_that_lies_is_none(lie: str) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        tensor_of(array_of(LIES[lie]))


class Raw:
    """A pickle by hand, in a file of torch.save: any name, called with any arguments."""

    def __init__(self) -> None:
        self.pickled = b"\x80\x02}("

    def add(self, key: str, module: str, name: str, how: bytes, *arguments: bytes) -> None:
        """``how`` is pickle's code: R calls, \x81 makes a new object; then it is given a state."""
        self.pickled += pickle.dumps(key, protocol=2)[2:-1]
        self.pickled += b"c" + f"{module}\n{name}\n".encode()
        self.pickled += b"(" + b"".join(arguments) + b"t" + how

    def write(self, path: Path) -> None:
        file = io.BytesIO()
        torch.save({}, file)
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
            for info in old.infolist():
                is_pickle = info.filename.endswith("data.pkl")
                new.writestr(info.filename, self.pickled + b"u." if is_pickle else old.read(info))


def literal(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


ARGUMENTS = [
    literal("/tmp/a"),
    literal({"__class__": "x", "__reduce__": 1}),
    literal([1, (2, "id")]),
    literal(None),
    literal(10**40),
    b"cbuiltins\nlist\n",
    b"cnumpy\ndtype\n",
]


@settings(max_examples=watching.examples(200), deadline=None)
@given(
    name=st.sampled_from(sorted(STAND_INS)),
    how=st.sampled_from([b"R", b"\x81"]),
    arguments=st.lists(st.sampled_from(ARGUMENTS), max_size=4),
    state=st.sampled_from(ARGUMENTS),
    builds=st.booleans(),
)
def test_no_allowed_name_does_anything(
    name: str, how: bytes, arguments: list[bytes], state: bytes, builds: bool
) -> None:
    raw = Raw()
    module, _, member = name.rpartition(".")
    raw.add("x", module, member, how, *arguments)
    if builds:
        raw.pickled += state + b"b"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.pth"
        raw.write(path)
        with watching.only_below():
            try:
                content, _ = read(path)
            except DataError:  # such as a list that is given a state
                return
    found = content["x"]
    assert type(found) in (Inert, Kind, Array, collections.OrderedDict, list, bytes)


FORBIDDEN = [
    *("builtins.eval", "builtins.exec", "builtins.getattr", "builtins.open", "builtins.type"),
    *("builtins.__import__", "builtins.object", "builtins.map", "builtins.compile"),
    *("os.system", "posix.system", "subprocess.Popen", "shutil.rmtree", "sys.exit"),
    *("functools.partial", "operator.attrgetter", "types.FunctionType", "types.CodeType"),
    *("argparse.FileType", "argparse.ArgumentParser", "pathlib.Path.unlink", "pathlib.os.system"),
    *("numpy.load", "numpy.fromfile", "numpy.memmap", "numpy.frombuffer", "numpy.loadtxt"),
    *("numpy._core.multiarray.fromfile", "numpy.testing._private.utils.runstring"),
    *("collections.namedtuple", "collections.abc.Callable", "copyreg._reconstructor"),
    *("omegaconf.OmegaConf.load", "omegaconf.omegaconf.OmegaConf", "codecs.decode"),
    *("torch.load", "torch.hub.load", "torch.nn.modules.conv.Conv2d", "torch.jit.load"),
    *("lightning.pytorch.core.module.LightningModule", "sanity.networks.foreign.stand_ins.Inert"),
]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_every_other_name_is_refused(name: str, tmp_path: Path) -> None:
    assert name not in STAND_INS
    raw = Raw()
    module, _, member = name.rpartition(".")
    raw.add("x", module, member, b"R", literal(str(tmp_path / "trace")))
    raw.write(tmp_path / "x.pth")
    with watching.only_below(), pytest.raises(DataError) as caught:
        read(tmp_path / "x.pth")
    line = str(caught.value)
    assert "refused, since it contains pickled code" in line or "damaged" in line
    assert not (tmp_path / "trace").exists()


class Own:
    """A class that somebody else in this process trusts."""


def test_what_others_allow_is_not_heard_and_stays_allowed_to_them(tmp_path: Path) -> None:
    torch.save({"w": WEIGHTS, "x": Own()}, tmp_path / "x.pth")
    with torch.serialization.safe_globals([Own]):
        before = set(torch.serialization.get_safe_globals())
        with pytest.raises(DataError, match=r"pickled code \(test_stand_ins\.Own\)"):
            load_state_dict(tmp_path / "x.pth")
        assert set(torch.serialization.get_safe_globals()) == before
        assert type(torch.load(tmp_path / "x.pth", weights_only=True)["x"]) is Own
    assert Own not in torch.serialization.get_safe_globals()


def test_the_list_is_gone_where_reading_fails() -> None:
    before = set(torch.serialization.get_safe_globals())
    with pytest.raises(KeyError), allowed():
        raise KeyError
    assert set(torch.serialization.get_safe_globals()) == before
