"""The configuration's typed part, and what its files may refer to; needs no torch."""

import difflib
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Ge, Le
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sanity.core.constraints import Allowed, allowed, listed
from sanity.core.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
LARGEST = 2**63 - 1
"""Of whole numbers: what tensors, and most that reads a record, can hold."""
Until = Literal["train_dense", "prune", "rewind", "train_ticket"]
STAGES: tuple[str, ...] = get_args(Until)
CHOSEN = ("dataset", "arch", "pruner", "ratio", "rewind", "sanity_check")
"""The groups of which a run has one option each, as records and plans name it."""

HOME = "SANITY_PROJECT"
"""The variable by which a job that runs from a copy of the code finds the project itself."""

# ${sanity.project:data} is a path below the project, wherever a run is started from.
OmegaConf.register_new_resolver(
    "sanity.project", lambda name: str(Path(os.environ.get(HOME) or PROJECT, name)), replace=True
)


@dataclass
class Settings:
    """The keys at the top of the configuration, typed."""

    seed: Annotated[int, Ge(0)]
    until: Until
    device: str
    threads: Annotated[int, Ge(1), Le(1024)] | None
    allow_dead: bool
    data_dir: str
    store_dir: str
    checkpoint_every: Annotated[float, Ge(0), "seconds"] | None


def read_settings(cfg: DictConfig) -> Settings:
    """The typed top-level settings; raises ConfigError naming the first one that is wrong."""
    values = {field.name: cfg.get(field.name) for field in fields(Settings)}
    settings = Settings(**conform("", Settings, values))
    for name in ("data_dir", "store_dir"):
        if not values[name].strip():
            raise ConfigError(f"{name}=: must name a directory")
        setattr(settings, name, str(absolute(name, values[name])))
    return settings


def absolute(name: str, path: str) -> Path:
    """The setting ``name`` as an absolute path; raises ConfigError for a home that is unknown."""
    try:
        return typed_from() / Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(f"{name}={path}: there is no user of that name") from None


def typed_from() -> Path:
    """Where the command was given: what relative paths mean, under ``hydra.job.chdir`` as well."""
    return Path(HydraConfig.get().runtime.cwd) if HydraConfig.initialized() else Path.cwd()


def conform(group: str, schema: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` as arguments of ``schema``, a class or function.

    Raises ConfigError naming the one that is not. What its annotations allow is read by
    ``constraints``. Whole numbers become floats where floats are meant.
    """
    prefix = f"{group}." if group else ""
    parameters = inspect.signature(schema).parameters
    hints = _hints(schema)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    fitting = {}
    for name, value in values.items():
        if name not in parameters and not open_ended:
            raise ConfigError(unknown_setting(group, name, parameters))
        if type(value) is int and abs(value) > LARGEST:
            raise ConfigError(f"{prefix}{name}={value}: must be below 2^63")
        options = allowed(hints.get(name))
        may_be_float = not options or any(one.kind is float for one in options)
        if type(value) is float and not math.isfinite(value) and may_be_float:
            raise ConfigError(f"{prefix}{name}={value}: must be a finite number")
        fitting[name] = _fitted(f"{prefix}{name}", value, options)
    for name, parameter in parameters.items():
        if name not in values and parameter.default is parameter.empty and not open_ended:
            raise ConfigError(f"{prefix}{name}: must be given")
    return fitting


def _fitted(key: str, value: Any, options: Sequence[Allowed]) -> Any:
    """The value as the first of ``options`` that takes it has it."""
    fitting = [one for one in options if one.takes(value)]
    if options and not fitting:
        choices = options[0].choices if len(options) == 1 else ()
        if choices and all(isinstance(one, str) for one in (value, *choices)):
            raise ConfigError(unknown(key, value, choices))
        raise ConfigError(f"{key}={value}: must be {listed(options, value)}")
    is_float = bool(fitting) and type(value) is int and all(one.kind is float for one in fitting)
    return float(value) if is_float else value


def _hints(schema: Callable[..., Any]) -> dict[str, Any]:
    """What ``schema`` says of its arguments; nothing where that cannot be evaluated.

    A class of one's own may name types that it imports for type checkers alone.
    """
    try:
        described = schema.__init__ if inspect.isclass(schema) else schema
        return get_type_hints(described, include_extras=True)
    except Exception:
        return {}


def unknown(key: str, value: str, choices: Iterable[str]) -> str:
    """The line for an unknown choice: what is wrong, what was probably meant, what is allowed."""
    return f"{key}={value}: no such choice{_hint(value, choices)}"


def unknown_setting(group: str, name: str, choices: Iterable[str]) -> str:
    """The line for an unknown key of ``group`` (empty: of the configuration itself)."""
    return f"{group}.{name}: no such setting".removeprefix(".") + _hint(name, choices)


def _hint(name: str, choices: Iterable[str]) -> str:
    known = sorted(name for name in choices if not name.startswith("_"))
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    return f"{meant}; choose from {', '.join(known)}" if known else "; there is none"


def make_importable(config_sources: Sequence[Any]) -> None:
    """Let modules beside a user's own ``--config-dir`` be named as ``_target_``, in any process."""
    for source in config_sources:
        directory = getattr(source, "path", "")
        if source.provider == "command-line" and directory not in sys.path:
            sys.path.append(directory)
