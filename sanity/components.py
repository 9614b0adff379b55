"""From a group of the configuration to the object it describes, or one line about what is wrong."""

import copy
import functools
import hashlib
import importlib
import inspect
import json
from types import ModuleType
from typing import Any, TypeVar

from hydra.errors import HydraException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from sanity.config import PROJECT, conform, unknown
from sanity.errors import ConfigError, SanityError, one_line
from sanity.pruners.base import Pruner

T = TypeVar("T")

Values = dict[str, Any]
"""A group's settings as plain Python values, ``_target_`` included."""


def plain(cfg: DictConfig, group: str) -> Values:
    """The settings of ``group``, resolved; raises ConfigError for one that must still be given."""
    chosen = OmegaConf.select(cfg, group)
    if chosen is None:
        raise ConfigError(f"{group}=null: must be one of its options; see --help")
    if not isinstance(chosen, DictConfig):
        raise ConfigError(f"{group}={chosen}: must be one of its options; see --help")
    try:
        values = OmegaConf.to_container(chosen, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: must be given") from None
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from None
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def component(group: str, values: Values, base: type[T]) -> T:
    """The object that ``values`` describe, which must be a ``base``."""
    kind = class_of(group, values)
    if not issubclass(kind, base):
        wanted = f"{base.__module__}.{base.__name__}"
        raise ConfigError(f"{group}._target_={values['_target_']}: is no {wanted}")
    values = conformed(group, values, kind)
    own = kind.__module__.split(".")[0] == "sanity"
    part = copy.copy(_built(group, json.dumps(values))) if own else build(group, values)
    assert isinstance(part, base)
    return part


@functools.lru_cache(maxsize=1024)
def _built(group: str, values: str) -> Any:
    """A component of ours, whose constructor only assigns; a sweep asks for it in every job."""
    return build(group, json.loads(values))


def conformed(group: str, values: Values, kind: type) -> Values:
    """``values`` with every setting of the type that the class ``kind`` says."""
    settings = {name: value for name, value in values.items() if name != "_target_"}
    return {"_target_": values["_target_"], **conform(group, kind, settings)}


def class_of(group: str, values: Values) -> type:
    """The class that ``_target_`` names; raises ConfigError where there is none."""
    target = values.get("_target_")
    if target is None:
        raise ConfigError(f"{group}: its file has no _target_, the class that implements it")
    try:
        return get_class(target)
    except Exception as error:  # a user's module may fail in any way while it is imported
        raise ConfigError(f"{group}._target_={target}: {one_line(error)}") from error


def build(group: str, values: Values) -> Any:
    """What Hydra makes of ``values``; its errors become one line."""
    try:
        return instantiate(values, _convert_="all")
    except HydraException as error:
        cause = error.__cause__
        if isinstance(cause, SanityError):
            raise cause from None
        raise ConfigError(f"{group}: {one_line(cause or error)}") from error


def identity(values: Values, part: object) -> Values:
    """What decides a component's behaviour: its settings, and its source where it is not ours.

    ``part`` is the component or its class. Researchers edit their own pruners; a result of
    yesterday's code must not pass for today's.
    """
    if isinstance(part, Pruner):
        values = part.identity(values)
    module = inspect.getmodule(part if inspect.isclass(part) else type(part))
    if module is None or module.__name__.split(".")[0] == "sanity":
        return values
    return values | {"source": hashlib.sha256(inspect.getsource(module).encode()).hexdigest()}


def option_name(part: object) -> str:
    """The option a component is chosen by, which bears the name of its module."""
    return type(part).__module__.rsplit(".", 1)[-1].rstrip("_")


def target_of(name: str, package: ModuleType, base: type, key: str) -> str:
    """The dotted path of the class that ``name`` stands for, unless it is one already."""
    if "." in name:
        return name
    group = package.__name__.rsplit(".", 1)[-1].removesuffix("s")
    options = [path.stem for path in (PROJECT / "conf" / group).glob("*.yaml")]
    if name not in options:
        raise ConfigError(unknown(key, name, options))
    module = importlib.import_module(f"{package.__name__}.{name}")
    for member in vars(module).values():
        own = inspect.isclass(member) and member.__module__ == module.__name__
        if own and issubclass(member, base):
            return f"{module.__name__}.{member.__name__}"
    raise ConfigError(f"{key}={name}: has no {base.__name__}")
