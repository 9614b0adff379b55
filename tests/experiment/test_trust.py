"""What is code and what is data: settings are values, and a group names one class of its kind."""

import sys
import types
from pathlib import Path
from typing import ClassVar

import pytest
import watching
from composing import complaint
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import nn

from sanity.archs.resnet import ResNet

GROUPS = ("dataset", "arch", "pruner", "ratio", "rewind", "sanity_check", "tracker.wandb")
CODE = (
    *("os.system", "posix.system", "subprocess.Popen", "builtins.eval", "builtins.open"),
    *("builtins.type", "pathlib.Path.write_text", "hydra.utils.instantiate", "torch.load"),
    *("torch.hub.load", "sanity.cli.entry.start", "functools.partial", "unittest.mock.Mock"),
)


NO_NETWORK = (
    "is no network: name a subclass of torch.nn.Module, or a function that is annotated to return "
    "one (def f(...) -> nn.Module)"
)


@pytest.fixture(autouse=True, scope="module")
def _torch_has_its_cache() -> None:
    """It makes a directory for itself when it is first used, before anybody watches."""
    assert complaint("tracker=none") is None


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of one's own on Python's path, as ``--config-dir`` puts it there."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("group", "target"),
    [("arch", target) for target in CODE] + [(group, CODE[2]) for group in GROUPS],
)
def test_a_group_names_nothing_but_a_class_of_its_kind(
    group: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", ":".join(CODE))
    with watching.only_below():
        line = complaint(f"{group}._target_={target}")
    assert line is not None
    assert line.startswith(f"{group}._target_={target}: ")
    wrong = line.removeprefix(f"{group}._target_={target}: ")
    assert wrong.startswith(("is no sanity.", "is no network: ", "No module named"))


class Trap(nn.Identity):
    """A class that tells whether it was constructed."""

    constructed: ClassVar[list[str]] = []

    def __init__(self, **settings: object) -> None:
        self.constructed.append(str(settings))
        super().__init__()


def test_a_class_of_another_kind_is_not_even_constructed() -> None:
    line = complaint(f"pruner._target_={__name__}.Trap")
    assert line == f"pruner._target_={__name__}.Trap: is no sanity.pruners.base.Pruner"
    assert complaint(f"arch._target_={__name__}.Trap") == (
        "arch: the network has no convolution or linear layer to prune"
    )
    assert len(Trap.constructed) == 1


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (("arch.widths=[{_target_:os.system,_args_:[id]}]",), "arch.widths[0]._target_"),
        (("+arch.deep={a:[1,{b:{_target_:os.system}}]}",), "arch.deep.a[1].b._target_"),
        (("+arch._args_=[1]",), "arch._args_"),
        (("+arch._partial_=true",), "arch._partial_"),
        (("+pruner._recursive_=true",), "pruner._recursive_"),
        (("+pruner._convert_=all",), "pruner._convert_"),
        (("dataset.mean=[{_target_:builtins.open,file:x}]",), "dataset.mean[0]._target_"),
        (("tracker.wandb.tags=[{_target_:os.system}]",), "tracker.wandb.tags[0]._target_"),
        (("ratio=like", "+ratio.settings._target_=os.system"), "ratio.settings._target_"),
        (("ratio=like", "+ratio.settings.x=[{_args_:[1]}]"), "ratio.settings.x[0]._args_"),
    ],
)
def test_other_settings_name_no_code(typed: tuple[str, ...], named: str) -> None:
    with watching.only_below():
        line = complaint(*typed)
    assert line == f"{named}: not possible here; settings are values, and name no code"


def test_the_pruner_of_ratio_like_is_one() -> None:
    line = complaint("ratio=like", "ratio.of=subprocess.Popen")
    assert line is not None
    assert line.endswith("=subprocess.Popen: is no sanity.pruners.base.Pruner")


def test_hydra_itself_would_call_much_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why its ``instantiate`` is not used: its policy is a list of what is known to be dangerous.

    The list's first part can be opened by a variable, its second cannot.
    """
    victim = tmp_path / "victim"
    path = {"_target_": "pathlib.Path", "_args_": [str(victim)]}
    instantiate({"_target_": "pathlib.Path.write_text", "_args_": [path, "written"]})
    assert victim.read_text() == "written"
    for target in ("os.remove", "os.system"):
        with pytest.raises(InstantiationException, match="blocklisted"):
            instantiate({"_target_": target, "_args_": [str(victim)]})
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", "os.remove:os.system")
    with pytest.raises(InstantiationException, match="cannot be authorized"):
        instantiate({"_target_": "os.system", "_args_": ["true"]})
    instantiate({"_target_": "os.remove", "_args_": [str(victim)]})
    assert not victim.exists()


OWN = """
from __future__ import annotations

from typing import TYPE_CHECKING

from sanity.archs.resnet import ResNet

if TYPE_CHECKING:
    from nowhere import Something


class Net(ResNet):
    def __init__(self, widths: list[int], hint: Something | None = None, **settings) -> None:
        settings["widths"] = [widths.pop(0), *widths]
        super().__init__(**settings)
"""


def test_ones_own_class_is_code_that_is_run(mine: Path) -> None:
    """Also one that names types only for type checkers, and changes what it is given."""
    (mine / "trusted_net.py").write_text(OWN)
    assert complaint("tracker=none", "arch._target_=trusted_net.Net") is None
    assert issubclass(sys.modules["trusted_net"].Net, ResNet)
    del sys.modules["trusted_net"]


def test_code_without_a_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results could not be told from those of the next version."""
    module = types.ModuleType("compiled_net")
    module.Net = type("Net", (ResNet,), {"__module__": "compiled_net"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compiled_net", module)
    line = complaint("tracker=none", "arch._target_=compiled_net.Net")
    assert line is not None
    assert line.startswith("compiled_net: its source cannot be read, ")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("import sys\nsys.exit('goodbye')\n", "goodbye"),
        ("raise RuntimeError\n", "RuntimeError"),
        ("raise RuntimeError('two\\nlines')\n", "two lines"),
        ("class Net(\n", "'(' was never closed (broken_net.py, line 1)"),
        ("Net = 5\n", NO_NETWORK),
        ("", "module 'broken_net' has no attribute 'Net'"),
    ],
)
def test_a_module_that_fails_is_one_line(mine: Path, module: str, message: str) -> None:
    (mine / "broken_net.py").write_text(module)
    assert complaint("arch._target_=broken_net.Net") == f"arch._target_=broken_net.Net: {message}"
    sys.modules.pop("broken_net", None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"_target_: !!python/object/apply:os.system ['true']\n",
            "could not determine a construct",
        ),
        (b"_target_: !!python/name:os.system\n", "could not determine a constructor for the tag"),
        (
            b"x: !!python/object/new:subprocess.Popen [[true]]\n",
            "could not determine a constructor",
        ),
        (b"_target_: [unclosed\n", "odd.yaml, line 2: expected ',' or ']'"),
        (b"_target_: \x01\n", "unacceptable character"),
        (b"\xff\xfe\x00", "a file of the configuration is no UTF-8: "),
        (b"a: 1\na: 2\n", "found duplicate key a"),
        (b"a: &a [*a]\n", ""),
        (b"{{{}: 1}: 1}\n", "unhashable"),
        (b"defaults: 5\n", "defaults must be a list"),
        (b"defaults: [odd]\n", "maximum recursion depth exceeded"),
        (b"- a\n- b\n", "must be one of its options"),
        (b"", "its file has no _target_"),
        (b"_target_: sanity.pruners.lt.LT\nx: !!binary aGk=\n", "pruner.x="),
        (b"_target_: sanity.pruners.lt.LT\nx: {!!binary aGk=: 1}\n", "its names must be texts"),
        (b"_target_: sanity.pruners.lt.LT\nx: .nan\n", "pruner.x=nan: must be a finite number"),
        (
            b"_target_: sanity.pruners.lt.LT\nx: !!python/object/apply:pathlib.Path [a]\n",
            "pruner.x=a: must be a number, a text, a list or a map of these",
        ),
    ],
)
def test_a_file_of_ones_own_is_yaml_or_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "pruner").mkdir()
    (tmp_path / "pruner" / "odd.yaml").write_bytes(content)
    with watching.only_below():
        line = complaint("pruner=odd", options=[f"hydra.searchpath=[{tmp_path.as_uri()}]"])
    assert line is not None
    assert message in line
