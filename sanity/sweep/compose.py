"""The configurations of many jobs: Hydra composes one of a kind, the others differ in values.

Composing takes Hydra 50 ms. Jobs with the same choices of options and the same settings, that
differ only in the settings' values, take one composition together.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sanity.cli.entry import explain
from sanity.cli.overrides import quoted
from sanity.core.errors import ConfigError
from sanity.experiment import unread
from sanity.experiment.composition import Composition, composition
from sanity.experiment.option_files import composed_from

READS_SEED = re.compile(r"\{[^{}]*\bseed\b[^{}]*\}")
REFERENCE = re.compile(r"\$\{([\w.:/@]+)\}")


@dataclass(frozen=True)
class Composed:
    """A job's configuration (without Hydra's own), the options chosen in each group, and whence."""

    cfg: DictConfig
    choices: dict[Any, Any]
    found: Composition

    @cached_property
    def names_seed(self) -> bool:
        """Whether a setting refers to the seed, be it by ``{seed}`` or by ``${seed}``."""
        return READS_SEED.search(OmegaConf.to_yaml(self.cfg)) is not None


class Composer:
    """Composes jobs as Hydra would, from the primary configuration ``name``.

    ``common`` are overrides that every job has, Hydra's own included; ``mentions`` are settings of
    the sweep as a whole, which may refer to those of its jobs.
    """

    def __init__(
        self,
        loader: ConfigLoader,
        name: str | None,
        common: Sequence[str],
        mentions: Sequence[str] = (),
    ) -> None:
        self._loader, self._name, self._common = loader, name, list(common)
        self._mentions = mentions
        self._groups = set(loader.list_groups(""))
        self._parse = functools.cache(OverridesParser.create(config_loader=loader).parse_override)
        self._kinds: dict[tuple[str, ...], Composed] = {}

    def __call__(self, overrides: Sequence[str]) -> Composed:
        """The configuration of a job; raises Hydra's errors for what cannot be composed.

        Raises ConfigError for a setting that nobody reads. It is good until the next call, which
        may return the same object with other values.
        """
        values = self._values(overrides)
        rest = [text for text in overrides if text not in values]
        kind = (*rest, *(self._parse(text).key_or_group for text in values))
        if kind not in self._kinds:
            self._kinds[kind] = self._compose(overrides)
        found = self._kinds[kind]
        for text in values:  # every value in which jobs of this kind differ is set anew
            override = self._parse(text)
            OmegaConf.update(found.cfg, override.key_or_group, override.value(), merge=True)
        return found

    def _compose(self, overrides: Sequence[str]) -> Composed:
        try:
            cfg = self._loader.load_configuration(
                config_name=self._name,
                overrides=[*self._common, *overrides],
                run_mode=RunMode.RUN,
            )
        except (HydraException, OmegaConfBaseException):
            raise
        except Exception as error:  # what else Hydra says to values that it was not made for
            raise ConfigError(explain(error, overrides)) from error
        choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
        assert isinstance(choices, dict)
        files = composed_from(cfg.hydra, self._loader)
        with open_dict(cfg):
            hydra = cfg.pop("hydra")
        found = composition(cfg, hydra, files, swept=False)
        unread.refuse_unread(found, self._mentions)
        return Composed(cfg, choices, found)

    def _values(self, overrides: Sequence[str]) -> list[str]:
        """Those that set a value that is there, rather than choosing an option.

        Not those that merge with what is there (mappings), or that others add to or delete.
        """
        parsed = {text: self._parse(text) for text in overrides}
        settings = {text: one for text, one in parsed.items() if not self._is_choice(one)}
        plain = [text for text, one in settings.items() if _is_plain(one)]
        others = [one.key_or_group for text, one in settings.items() if text not in plain]
        return [text for text in plain if not _touches(parsed[text].key_or_group, others)]

    def _is_choice(self, override: Override) -> bool:
        in_group = override.key_or_group in self._groups or "/" in override.key_or_group
        return in_group and not isinstance(override.value(), dict)


def _is_plain(override: Override) -> bool:
    plain = override.type == OverrideType.CHANGE and override.package is None
    return plain and not isinstance(override.value(), dict)


def _touches(key: str, others: Sequence[str]) -> bool:
    """Whether one of ``others`` is the same setting, or part of it, or the other way round."""
    return any(f"{key}.".startswith(f"{one}.") or f"{one}.".startswith(f"{key}.") for one in others)


def directory_of(
    template: str,
    number: int,
    seed: int,
    composed: Composed,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """The name that ``hydra.sweep.subdir`` gives the directory of a job.

    Resolved here, so that a job's directory is known before the job has run; ``facts`` are settings
    whose values are known better than they are written. Raises ConfigError for a template that
    refers to what only a running job knows.
    """
    known = {"hydra.job.num": number, "hydra.job.id": number, "seed": seed, **(facts or {})}
    known |= {f"hydra.runtime.choices.{name}": value for name, value in composed.choices.items()}

    def value(match: re.Match[str]) -> str:
        name = match[1].replace("hydra:", "hydra.")
        if name in known:
            return str(known[name])
        return str(OmegaConf.select(composed.cfg, name, default=match[0]))

    name = REFERENCE.sub(value, template)
    if "${" in name:
        raise ConfigError(
            f"hydra.sweep.subdir={template}: may refer to hydra.job.num, to "
            "hydra:runtime.choices.<group> and to settings of the run, and to nothing else"
        )
    if not leads_below(name):
        raise ConfigError(
            f"hydra.sweep.subdir={template}: gives a job the directory {name!r}; it must be one "
            "below hydra.sweep.dir"
        )
    return name


def leads_below(directory: str) -> bool:
    """Whether a job's directory, relative to its sweep's, is below it and has a plain name."""
    parts = PurePath(directory).parts
    inside = bool(parts) and not PurePath(directory).is_absolute() and ".." not in parts
    return inside and directory.isprintable()


def in_directory(sweep_dir: str, subdirectory: str) -> list[str]:
    """The overrides that make one of Hydra's launchers run a job in a given directory."""
    return [f"hydra.sweep.dir={quoted(sweep_dir)}", f"hydra.sweep.subdir={quoted(subdirectory)}"]
