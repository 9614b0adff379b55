"""A configuration as Hydra has composed it, and which of its settings nobody reads.

Groups are read by their classes, which refuse what they do not know (``instantiate.conformed``):
this is about what stands beside them. Imports no torch.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sanity.core.config import Settings
from sanity.experiment import option_files
from sanity.experiment.option_files import Key, OptionFile, leaves

GROUPS = ("training", "ratio", "rewind", "arch", "dataset", "pruner", "sanity_check", "tracker")
"""Groups with settings of their own name, each read by the class that it names."""
OF_RUNS = ("name", "plan", "budget", "most_seeds")
OF_SWEEPS = ("grid", "controls", "title")
"""The settings ``sweep.*`` of every command, and those that a sweep alone reads."""
TOP = (*(field.name for field in fields(Settings)), *GROUPS, "sweep", "verdict")

INTERPOLATION = re.compile(r"\$\{([^}]*)")
REFERENCE = re.compile(r"\.*[^\W\d][\w-]*(?:[.\[][\w-]+\]?)*")


@dataclass(frozen=True)
class Composition:
    """A configuration as it was composed: ``values`` are unresolved, ``hydra`` its own node.

    ``typed`` are the overrides of a command line, ``files`` the option files where any is a user's
    own. ``swept``: it is that of a sweep as a whole, not of one of its runs.
    """

    values: Mapping[str, Any]
    hydra: DictConfig | None = None
    typed: Sequence[str] = ()
    files: Sequence[OptionFile] = ()
    swept: bool = False


def composition(
    cfg: DictConfig, hydra: DictConfig, files: Sequence[OptionFile], *, swept: bool
) -> Composition:
    """That of a configuration which Hydra has composed."""
    values = _plain(cfg) | {"hydra": OmegaConf.to_container(hydra, resolve=False)}
    return Composition(values, hydra, option_files.typed_in(hydra), files, swept)


def composition_of_run(cfg: DictConfig) -> Composition:
    """That of the run under way: from Hydra where it has composed ``cfg``, or a library's."""
    if not HydraConfig.initialized():
        return Composition(_plain(cfg))
    hydra, known = HydraConfig.instance().cfg.hydra, GlobalHydra.instance()  # type: ignore[union-attr]
    loader = known.config_loader() if known.is_initialized() else None
    files = option_files.composed_from(hydra, loader) if loader is not None else ()
    return composition(cfg, hydra, files, swept=False)


def _plain(cfg: DictConfig) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    return {str(name): value for name, value in values.items()}


def unread_in(found: Composition, mentions: Collection[str] = ()) -> Iterator[Key]:
    """The places of settings that no part of the program reads and no other setting refers to."""
    pending = dict(_unclaimed(found))
    texts = [(key, value) for key, value in _texts(found.values) if key not in pending]
    texts += [((), text) for text in mentions]
    while texts:  # a helper that is referred to may itself refer to others
        referred = {reference for key, text in texts for reference in references(text, key)}
        read = [key for key in pending if any(overlap(key, one) for one in referred)]
        values = {key: pending.pop(key) for key in read}
        texts = [
            (key, text) for place, value in values.items() for key, text in _texts(value, place)
        ]
    yield from pending


def references(text: str, key: Key) -> Iterator[Key]:
    """The places that the interpolations in ``text``, the setting ``key``, may refer to."""
    for inside in INTERPOLATION.findall(text):
        for match in REFERENCE.findall(inside.replace("hydra:", "hydra.")):
            name = match.lstrip(".")
            dots = len(match) - len(name)  # relative ones begin at the setting's own parent
            base = key[: max(len(key) - dots, 0)] if dots else ()
            yield (*base, *re.findall(r"[\w-]+", name))


def overlap(key: Key, other: Key) -> bool:
    """Whether one is the other, or a part of it."""
    shorter = min(len(key), len(other))
    return key[:shorter] == other[:shorter]


def _texts(values: Any, place: Key = ()) -> Iterator[tuple[Key, str]]:
    """The texts with interpolations in ``values``, at any depth."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _texts(value, (*place, str(name)))
    elif isinstance(values, list):
        for value in values:
            yield from _texts(value, place)
    elif isinstance(values, str) and "${" in values:
        yield place, values


def _unclaimed(found: Composition) -> Iterator[tuple[Key, Any]]:
    """Every value that is no setting, beside Hydra's own and those within groups."""
    for name, value in found.values.items():
        if name == "hydra":
            continue
        if name not in TOP:
            yield from ((key, one) for key, one in leaves(value, (name,)) if one != {})
        elif name == "sweep" and isinstance(value, Mapping):
            for inner, one in value.items():
                if inner not in (*OF_RUNS, *OF_SWEEPS):
                    yield from leaves(one, (name, str(inner)))
        elif name in GROUPS and option_files.setting_file(found.files, (name, name)) is not None:
            yield from leaves(value[name], (name, name))  # of a file that lacks its header
    yield from _added_to_hydra(found.hydra, ("hydra",))


def _added_to_hydra(node: Any, place: Key) -> Iterator[tuple[Key, Any]]:
    """What was added to Hydra's own settings, whose names it knows."""
    kind = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
    if kind is None or not dataclasses.is_dataclass(kind):
        return
    known = hydra_names(node)
    for name in map(str, node):
        if name not in known:
            yield (*place, name), None
        elif not (OmegaConf.is_interpolation(node, name) or OmegaConf.is_missing(node, name)):
            yield from _added_to_hydra(node[name], (*place, name))


def hydra_names(node: DictConfig) -> set[str]:
    """The settings of one of Hydra's nodes, and at its top those of its groups."""
    kind: Any = OmegaConf.get_type(node)
    groups = node.runtime.choices if kind is HydraConf else ()
    return {field.name for field in fields(kind)} | {
        str(group).removeprefix("hydra/") for group in groups if str(group).startswith("hydra/")
    }
