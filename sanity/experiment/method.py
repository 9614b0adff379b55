"""What finds a ticket: a score and a ratio, and where the ratio copies another method, that one."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from omegaconf import DictConfig
from torch import nn

import sanity.pruners
from sanity.core.errors import CombinationError, ConfigError, DataError
from sanity.experiment import foreign, instantiate, patterns
from sanity.experiment.instantiate import Values, component, identified, resolved
from sanity.identity import Code
from sanity.networks.layers import Blueprint
from sanity.pruners.base import Given, Pruner
from sanity.ratios.base import Allocation, Budget, Ratio, kept_share, sparsity_of
from sanity.ratios.global_ import Global

FILE = "path"  # of pruners that read one
OF_A_DONOR = "ratio.settings"


@dataclass(frozen=True)
class Method:
    """A score and a ratio: together they make masks; ``identity`` names both in keys.

    ``given`` is the mask of a method that has it beforehand.
    """

    pruner: Pruner
    ratio: Ratio
    identity: Values
    code: Code
    given: Given | None = None

    def allocate(self, blueprint: Blueprint, donor: Mapping[str, int]) -> Allocation:
        """The weights to keep in each layer; ``donor`` has those of the pruner of ratio=like."""
        if self.given is not None:
            return Allocation({name: self.given.kept[name] for name in blueprint.names})
        sparsity = self.ratio.sparsity
        if sparsity is None and donor:
            return self.ratio.allocate(blueprint, Budget(sum(donor.values()), donor=donor))
        # Each method rounds its pool in its own way; layer-wise ratios are the same for all.
        if self.ratio.pools or sparsity is None:
            kept = self.pruner.kept(blueprint.total, sparsity)
        else:
            kept = kept_share(blueprint.total, sparsity)
        budget = Budget(kept, linear_dense=self.pruner.linear_dense, donor=donor)
        return self.ratio.allocate(blueprint, budget)

    def sparsity(self, blueprint: Blueprint) -> float | None:
        """The share of weights removed, by the ratio or the mask that is given."""
        if self.given is None:
            return self.ratio.sparsity
        return sparsity_of(sum(self.given.kept[name] for name in blueprint.names), blueprint.total)


@dataclass(frozen=True)
class Methods:
    """A run's method, the one whose counts its ratio copies, and ``notes`` on files they read."""

    method: Method
    donor: Method | None
    notes: tuple[str, ...]


def methods(cfg: DictConfig, seed: int, network: Callable[[], nn.Module]) -> Methods:
    """Those of a configuration; ``network`` gives the run's, without memory, where a file is read.

    Raises ConfigError for settings that are wrong, DataError for files that do not fit.
    """
    ratio_values = resolved(cfg, "ratio")
    notes: tuple[str, ...] = ()
    if isinstance(asked := ratio_values.get("sparsity"), str):
        ratio_values["sparsity"], notes = foreign.as_sparse_as(asked, seed, network)
    if isinstance(settings := ratio_values.get("settings"), dict):
        ratio_values["settings"] = _filled(OF_A_DONOR, settings, seed)
    pruner_values = _filled("pruner", resolved(cfg, "pruner"), seed)
    method = _method(pruner_values, ratio_values, network)
    donor = _donor(method.ratio, network)
    if donor is not None:
        method = _copying(method, donor, ratio_values)
    given, lent = (one.given if one is not None else None for one in (method, donor))
    notes += given.notes if given else ()
    notes += tuple(_of_a_donor(note) for note in lent.notes) if lent else ()
    return Methods(method, donor, notes)


def _filled(group: str, values: Values, seed: int) -> Values:
    """A pruner's settings; its file, if it reads one, may be another one for every seed."""
    if not isinstance(values.get(FILE), str):
        return values
    return values | {FILE: patterns.filled(f"{group}.{FILE}", values[FILE], seed)}


def _method(
    pruner_values: Values, ratio_values: Values, network: Callable[[], nn.Module]
) -> Method:
    found = identified("pruner", pruner_values, Pruner)
    pruner = found.part
    ratio = identified("ratio", ratio_values, Ratio)
    if pruner.decides_sparsity and ratio.part != Global(sparsity=None):
        raise CombinationError(
            f"pruner={instantiate.option_name(pruner)}: the mask comes with its own sparsity and "
            "layer ratios: leave out ratio and ratio.sparsity (where a grid has them: "
            "ratio.sparsity=null)"
        )
    identity = {"pruner": found.values, "ratio": ratio.values}
    given = pruner.given(network()) if pruner.decides_sparsity else None
    return Method(pruner, ratio.part, identity, found.code | ratio.code, given)


def _donor(ratio: Ratio, network: Callable[[], nn.Module]) -> Method | None:
    """The pruner whose counts a ratio copies, if it does: at its sparsity, under a global ratio.

    Its settings are spelled out as its own YAML file does, so that both share one stored mask.
    """
    if ratio.donor is None:
        return None
    of, settings = ratio.donor
    target = instantiate.target_of(of, sanity.pruners, Pruner, "ratio.of")
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{OF_A_DONOR}={settings}: must be the pruner's settings, or {{}}")
    values = {"_target_": target, **settings}
    pruner = component(OF_A_DONOR, values, Pruner)
    if pruner.decides_sparsity and ratio.sparsity is not None:
        raise CombinationError(
            f"ratio.sparsity={ratio.sparsity}: the mask of ratio.of={of} comes with its own "
            "sparsity: set ratio.sparsity=null"
        )
    if dataclasses.is_dataclass(pruner):
        values |= dataclasses.asdict(pruner)
    pool = Global(ratio.sparsity)
    pool_values = {"_target_": f"{Global.__module__}.Global", **dataclasses.asdict(pool)}
    with _lent():
        return _method(values, pool_values, network)


def _copying(method: Method, donor: Method, ratio_values: Values) -> Method:
    """The method with its donor's file named in keys by its contents, wherever it lies."""
    settings = ratio_values.get("settings")
    if not isinstance(settings, dict) or FILE not in settings:
        return method
    known = method.identity["ratio"]
    own = donor.identity["pruner"]["settings"]
    named = settings | {FILE: own.get(FILE, settings[FILE])}
    ratio = known | {"settings": known["settings"] | {"settings": named}}
    return dataclasses.replace(method, identity=method.identity | {"ratio": ratio})


@contextmanager
def _lent() -> Iterator[None]:
    """What a pruner says of its own settings is said of those that were typed."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(_of_a_donor(str(error))) from error


def _of_a_donor(text: str) -> str:
    is_setting = text.startswith("pruner.")
    return f"{OF_A_DONOR}.{text.removeprefix('pruner.')}" if is_setting else text
