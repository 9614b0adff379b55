"""From a group of the configuration to the object it describes, or one line about what is wrong.

A group names one class, which must be a subclass of what the group is for (or, for a network, a
function that returns one); all other settings are values. Hydra's ``instantiate`` would call
whatever a ``_target_`` names, at any depth, but for a list of functions known to be dangerous: so
it is not used.
"""

import copy
import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from torch import nn

from sanity.core import option
from sanity.core.config import conform, unknown
from sanity.core.errors import ConfigError, SanityError, one_line
from sanity.identity import Code, building, code_of, install
from sanity.pruners.base import Pruner

T = TypeVar("T")

Values = dict[str, Any]
"""A group's settings as resolved Python values, ``_target_`` included."""

RESERVED = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_")
"""What Hydra takes for instructions; of these a group has ``_target_``, and only at its top."""


def resolved(cfg: DictConfig, group: str) -> Values:
    """The settings of ``group``, resolved; raises ConfigError for one that must still be given."""
    chosen = OmegaConf.select(cfg, group)
    if not isinstance(chosen, DictConfig):
        shown = "null" if chosen is None else chosen
        raise ConfigError(f"{group}={shown}: must be one of its options; see --help")
    try:
        values: Any = OmegaConf.to_container(chosen, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: must be given") from None
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from None
    return {str(name): value for name, value in values.items()}


def component(group: str, values: Values, base: type[T]) -> T:
    """The object that ``values`` describe, which must be a ``base``."""
    kind = class_of(group, values, base)
    part = build(group, conformed(group, values, kind))
    assert isinstance(part, base)
    return part


def conformed(group: str, values: Values, kind: Callable[..., Any]) -> Values:
    """``values`` with every setting of the type that ``kind``, a class or function, says."""
    settings = {name: value for name, value in values.items() if name != "_target_"}
    return {"_target_": values["_target_"], **conform(group, kind, settings)}


def class_of(group: str, values: Values, base: type = object) -> type:
    """The class that ``_target_`` names, a ``base``, without calling it; ConfigError for others."""
    kind = _named(group, values)
    if not inspect.isclass(kind) or not issubclass(kind, base):
        raise ConfigError(
            f"{group}._target_={values['_target_']}: is no {base.__module__}.{base.__name__}"
        )
    return kind


def network_of(values: Values) -> Callable[..., nn.Module]:
    """What ``arch._target_`` names: a class of networks, or a function that says it returns one.

    Any other function is refused without a call: a configuration names networks, not code to run.
    """
    kind = _named("arch", values)
    made: Any = kind
    if inspect.isroutine(kind):
        try:
            made = get_type_hints(kind).get("return")
        except Exception:  # of names that exist for type checkers alone
            made = None
    if inspect.isclass(made) and issubclass(made, nn.Module):
        return kind
    raise ConfigError(
        f"arch._target_={values['_target_']}: is no network: name a subclass of torch.nn.Module, "
        "or a function that is annotated to return one (def f(...) -> nn.Module)"
    )


def _named(group: str, values: Values) -> Any:
    """What ``_target_`` names, imported."""
    target = values.get("_target_")
    if target is None:
        raise ConfigError(f"{group}: its file has no _target_, the class that implements it")
    if not is_dotted(target):
        raise ConfigError(f"{group}._target_={target}: must be a class, written module.Class")
    for name, value in values.items():
        if name != "_target_":
            refuse_code(f"{group}.{name}", name, value)
    module, _, name = target.rpartition(".")
    install()
    try:
        return getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a user's module may fail in any way
        raise ConfigError(f"{group}._target_={target}: {one_line(error)}") from error


def is_dotted(target: object) -> bool:
    """Whether ``target`` is a dotted path, of a module and what is in it."""
    parts = target.split(".") if isinstance(target, str) else []
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def refuse_code(where: str, name: object, value: Any) -> None:
    """Raise ConfigError where a setting, at any depth, is more than a value that JSON holds."""
    if name in RESERVED:
        raise ConfigError(f"{where}: not possible here; settings are values, and name no code")
    if isinstance(value, dict):
        for inner, item in value.items():
            if not isinstance(inner, str | int | float):
                raise ConfigError(f"{where}={value}: its names must be texts or numbers")
            refuse_code(f"{where}.{inner}", inner, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_code(f"{where}[{index}]", index, item)
    elif not isinstance(value, str | int | float | None):
        raise ConfigError(f"{where}={value}: must be a number, a text, a list or a map of these")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}={value}: must be a finite number")


def build(group: str, values: Values) -> Any:
    """An object of the class that ``values`` name; what it says against them becomes one line."""
    return _call(group, class_of(group, values), values)


def build_network(values: Values) -> nn.Module:
    """The network that ``values``, the settings of ``arch``, describe, as it makes itself."""
    network = _call("arch", network_of(values), values)
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"arch._target_={values['_target_']}: gave a {type(network).__name__}, no network"
        )
    return network


def _call(group: str, kind: Callable[..., Any], values: Values) -> Any:
    settings = {name: value for name, value in values.items() if name != "_target_"}
    try:
        return kind(**copy.deepcopy(settings))  # it may change what it is given
    except SanityError:
        raise
    except Exception as error:
        raise ConfigError(f"{group}: {one_line(error)}") from error


@dataclass(frozen=True)
class Identified(Generic[T]):
    """A component, the ``values`` that decide its behaviour in keys, and the code behind it."""

    part: T
    values: Values
    code: Code


def identified(group: str, values: Values, base: type[T]) -> Identified[T]:
    """The component that ``values`` describe, and what decides its behaviour."""
    with building() as reads:
        part = component(group, values, base)
    facts, code = code_of(values, type(part), reads)
    if isinstance(part, Pruner):
        values = part.identity(values)
    return Identified(part, option.identity(type(part), values) | facts, code)


def option_name(part: object) -> str:
    """The option a component is chosen by."""
    return option.name_of(type(part))


def target_of(name: str, package: ModuleType, base: type, key: str) -> str:
    """The dotted path of the class that ``name`` stands for, unless it is one already."""
    if "." in name:
        return name
    found = option.options(package, base)
    if name not in found:
        raise ConfigError(unknown(key, name, list(found)))
    return f"{found[name].__module__}.{found[name].__name__}"
