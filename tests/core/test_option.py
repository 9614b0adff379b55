"""What an option is to stored results stands beside it, and nowhere else."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
import torch

import sanity.archs
import sanity.checks
import sanity.datasets
import sanity.pruners
import sanity.ratios
import sanity.rewinds
from sanity.core.option import Option, identity, name_of, options
from sanity.pruners.snip import SNIP
from sanity.ratios.global_ import Global

GROUPS = (
    *(sanity.archs, sanity.checks, sanity.datasets),
    *(sanity.pruners, sanity.ratios, sanity.rewinds),
)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_a_module_of_a_group_is_one_option(group: ModuleType) -> None:
    """Its name is the module's, so that two in one module would share their results."""
    found = options(group, Option)
    names = {path.stem.rstrip("_") for path in _modules(group)}
    libraries = {"torchvision", "timm"} if group is sanity.archs else set()
    assert found.keys() | libraries == names
    assert not found.keys() & libraries  # whose networks are of classes of their own
    for name, kind in found.items():
        module = inspect.getmodule(kind)
        others = [
            one
            for one in vars(module).values()
            if inspect.isclass(one)
            and issubclass(one, Option)
            and one.__module__ == kind.__module__
        ]
        assert others == [kind], name


def _modules(group: ModuleType) -> list[Path]:
    apart = ("__init__", "base")
    return [path for path in Path(group.__path__[0]).glob("*.py") if path.stem not in apart]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_neutral_values_are_those_of_settings_and_their_defaults(group: ModuleType) -> None:
    for kind in options(group, Option).values():
        known = inspect.signature(kind).parameters
        for name, value in kind.neutral.items():
            assert known[name].default == value, f"{kind}: what YAML files give by default"


def test_a_setting_added_later_keeps_old_keys() -> None:
    @dataclass
    class Old(Option):
        lr: float = 0.1

    @dataclass
    class New(Option):
        neutral: ClassVar = {"smoothing": 0.0}

        lr: float = 0.1
        smoothing: float = 0.0

    New.__qualname__ = Old.__qualname__
    old = identity(Old, {"lr": 0.1})
    assert identity(New, {"lr": 0.1, "smoothing": 0.0}) == old
    assert identity(New, {"lr": 0.1, "smoothing": 0.1}) != old
    New.version = 2
    assert identity(New, {"lr": 0.1, "smoothing": 0.0}) != old


def test_what_bears_the_names_without_being_an_option_states_nothing() -> None:
    class Net(torch.nn.Module):
        neutral = True

        @property
        def version(self) -> str:
            return "x"

    assert identity(Net, {"x": 1})["version"] == 1
    assert identity(Net, {"x": 1})["settings"] == {"x": 1}


def test_a_switch_is_no_number() -> None:
    class Part(Option):
        neutral: ClassVar = {"x": 0}

    assert identity(Part, {"x": False})["settings"] == {"x": False}
    assert identity(Part, {"x": 0.0})["settings"] == {}


def test_ours_are_named_by_their_option_and_others_by_their_class() -> None:
    named = identity(SNIP, {"_target_": "sanity.pruners.snip.SNIP", "batches": "auto"})
    assert named == {"option": "snip", "version": 1, "settings": {"batches": "auto"}}
    assert identity(torch.nn.Linear, {})["option"] == "torch.nn.modules.linear.Linear"
    assert name_of(Global) == "global"
