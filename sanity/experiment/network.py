"""What the settings ``arch`` stand for: a network, its structure, and its initial weights."""

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sanity.core import option
from sanity.core.errors import ConfigError
from sanity.core.files import sha256
from sanity.experiment import patterns
from sanity.experiment.instantiate import Values, build_network, conformed, network_of
from sanity.experiment.outline import outline
from sanity.identity import Code, code_of
from sanity.networks.blueprint import CONTRACT
from sanity.networks.build import Factory
from sanity.networks.initial import Initial
from sanity.networks.layers import Blueprint
from sanity.networks.library import Library


@dataclass(frozen=True)
class Described:
    """A network that ``factory`` makes, with weights of its own; a run begins with ``initial``.

    ``identity`` names it in keys, ``code`` is what it consists of besides this package.
    """

    factory: Factory
    initial: Initial
    blueprint: Blueprint
    identity: Values
    code: Code


def describe(arch: Values, seed: int, channels: int, side: int, num_classes: int) -> Described:
    """The network of the settings ``arch`` for images [channels, side, side] of so many classes.

    Raises ConfigError for settings that are wrong, files that are missing, and networks that
    cannot be pruned or do not fit the images.
    """
    arch = dict(arch)
    file = patterns.existing("arch.init_from", arch.pop("init_from", None), seed)
    kind = network_of(arch)
    library = _library(kind)
    pretrained = _pretrained(library, arch) if library else None
    if file is not None and pretrained is not None:
        raise ConfigError("arch.init_from and arch.weights both name initial weights: choose one")
    arch = conformed("arch", arch, kind)
    blueprint, reads = outline(json.dumps(arch), channels, side, num_classes)
    facts, code = code_of(arch, kind, reads)
    if facts:  # it is none of this package's
        facts |= {"contract": CONTRACT}
    if library:
        facts |= {"library": f"{library.name} {version(library.name)}"}
    if pretrained is not None:
        facts |= {"weights": sha256(pretrained)}
    files = {path: sha256(path) for path in (file, pretrained) if path is not None}
    factory = functools.partial(build_network, arch)
    begun = factory
    if pretrained is not None:
        begun = functools.partial(build_network, arch | {"weights": str(pretrained)})
    return Described(
        factory=factory,
        initial=Initial(begun, file),
        blueprint=blueprint,
        identity=option.identity(kind, arch)
        | facts
        | {"init_from": None if file is None else files[file]},
        code=code | Code(files=files),
    )


def _library(kind: Callable[..., Any]) -> Library | None:
    """The library that an option of this package takes its networks from."""
    module = kind.__module__
    found = getattr(sys.modules[module], "library", None) if module.startswith("sanity.") else None
    return found if isinstance(found, Library) else None


def _pretrained(library: Library, arch: Values) -> Path | None:
    """The file of the weights to begin with, which are left out of ``arch``."""
    weights = arch.pop("weights", None)
    if weights is None:
        return None
    if not isinstance(weights, str) or not isinstance(arch.get("name"), str):
        raise ConfigError(f"arch.weights={weights}: must be null, DEFAULT, or a file's path")
    return library.weights_file(arch["name"], weights)
