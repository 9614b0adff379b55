"""From the description of a grid to the overrides of its jobs.

A grid maps settings to their values and stands for every combination of them; a list of grids is
their union. Settings swept on the command line replace those of the same name in every grid, or
multiply with them. Controls are arms that stand beside a grid whatever is asked of it: they share
its data sets, sparsities and seeds, and choose their method themselves. Beside a ticket from a file
they are as sparse as it.
"""

import dataclasses
import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep

from sanity.cli.overrides import quoted
from sanity.core.errors import ConfigError, as_line, one_line
from sanity.experiment import patterns

OF_AN_ARM = ("pruner", "ratio", "rewind", "sanity_check")
OF_THE_CELL = "ratio.sparsity"  # the one of their settings that controls share with the rest
FROM_FILE, FILE = "pruner=from_checkpoint", "pruner.path"  # a ticket that has its own

Axes = dict[str, list[str]]
"""Setting -> one override text (``key=value``) for each of its values."""

MOST = 100_000
"""Combinations of a grid; the plan of so many takes minutes, their store hundreds of gigabytes."""


def expand(grid: Any, arguments: Sequence[str], parser: OverridesParser) -> list[list[str]]:
    """The overrides of every job, without repetitions.

    ``grid`` is the setting ``sweep.grid``: a mapping, a list of mappings, or None; ``arguments``
    are overrides as typed, with Hydra's syntax for several values (``a,b`` or ``range(3)``).
    Raises ConfigError for a grid of another form.
    """
    return _combinations(_products(grid, arguments, parser))


def expand_controls(
    controls: Any, grid: Any, arguments: Sequence[str], parser: OverridesParser
) -> list[list[str]]:
    """The same of ``sweep.controls``, whose arms stand beside every part of ``grid``."""
    if not controls:
        return []
    shared = [_without_arm(product) for product in _products(grid, arguments, parser)]
    own = _read("sweep.controls", controls, parser)
    return _combinations([{**product, **axes} for axes in own for product in shared])


def arm_of(overrides: Sequence[str]) -> tuple[str, ...]:
    """What a job shares with those of other seeds."""
    return tuple(text for text in overrides if _key(text) != "seed")


def seeds_of(jobs: Sequence[Sequence[str]], most: int, first: Any = 0) -> tuple[int, ...]:
    """``most`` seeds to go through: those of the jobs, in order, and the numbers that follow.

    ``first`` is the seed of jobs that name none. Raises ConfigError for what is none, and for more
    jobs than a grid may have.
    """
    found = set()
    for overrides in jobs:
        named = [text.partition("=")[2] for text in overrides if _key(text) == "seed"]
        seed = named[-1] if named else str(first)
        if not re.fullmatch(r"\d{1,18}", seed, re.ASCII):
            raise ConfigError(f"seed={as_line(seed)}: must be a whole number, to go on from")
        found.add(int(seed))
    arms = len(set(map(arm_of, jobs)))
    if arms * most > MOST:
        raise ConfigError(
            f"sweep.most_seeds={most}: with {arms:,} arms that may be {arms * most:,} jobs, and "
            f"{MOST:,} are the most"
        )
    given = sorted(found)[:most]
    following = range(given[-1] + 1, given[-1] + 1 + most - len(given))
    return (*given, *following)


def of_seeds(jobs: Iterable[Sequence[str]], seeds: Sequence[int]) -> list[list[str]]:
    """The jobs of every arm with each of ``seeds``."""
    arms = dict.fromkeys(map(arm_of, jobs))
    return [[*arm, f"seed={seed}"] for arm in arms for seed in seeds]


def _products(grid: Any, arguments: Sequence[str], parser: OverridesParser) -> list[Axes]:
    """The axes of each part of a grid, with what is typed in place of its own."""
    typed = _axes(parser.parse_overrides(list(arguments)))
    replaced = {_name(key) for key in typed}
    return [
        {**{key: texts for key, texts in axes.items() if _name(key) not in replaced}, **typed}
        for axes in _read("sweep.grid", grid, parser)
    ]


def _combinations(products: Sequence[Axes]) -> list[list[str]]:
    count = sum(math.prod(map(len, product.values())) for product in products)
    if count > MOST:
        raise ConfigError(f"the grid has {count:,} combinations: {MOST:,} are the most")
    jobs: dict[frozenset[str], list[str]] = {}
    for product in products:
        for combination in itertools.product(*product.values()):
            jobs.setdefault(frozenset(combination), list(combination))
    return list(jobs.values())


def _read(where: str, grid: Any, parser: OverridesParser) -> Iterator[Axes]:
    """The axes of every grid of a union."""
    for number, one in enumerate(grid if isinstance(grid, list) else [grid or {}]):
        if not isinstance(one, Mapping):
            raise ConfigError(
                f"{where}={one}: must map settings to their values, or be a list of such maps"
            )
        yield _axes(
            _parsed(parser, f"{where}[{number}].{key}", key, values) for key, values in one.items()
        )


def _without_arm(axes: Axes) -> Axes:
    """What a control takes over: everything but what makes the method and its check."""

    def is_of_the_arm(name: str) -> bool:
        group = name.replace("@", ".").split(".")[0]
        return group in OF_AN_ARM and name != OF_THE_CELL

    shared = {key: texts for key, texts in axes.items() if not is_of_the_arm(_name(key))}
    files = [text for key, texts in axes.items() if _name(key) == FILE for text in texts]
    if files and FROM_FILE in axes.get("pruner", ()):
        sparsities = [f"{OF_THE_CELL}={text.partition('=')[2]}" for text in files]
        shared = {key: texts for key, texts in shared.items() if _name(key) != OF_THE_CELL}
        shared[OF_THE_CELL] = sparsities
    return shared


def _parsed(parser: OverridesParser, where: str, key: str, values: Any) -> Override:
    """A line of a grid as an override: a list gives its values, a text is Hydra's own syntax."""
    if isinstance(values, list) and not values:
        raise ConfigError(f"{where}: has no value")
    if not isinstance(values, str):
        values = ",".join(map(_text, values if isinstance(values, list) else [values]))
    return parser.parse_override(patterns.escaped(f"{key}={values}"))


def _text(value: Any) -> str:
    """A YAML value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(item)}" for name, item in value.items()) + "}"
    return str(value)


def _values(override: Override) -> list[str]:
    """The values of an override as texts; raises ConfigError for more than jobs could have."""
    span = override.value()
    if isinstance(span, RangeSweep):
        override = dataclasses.replace(override, _value=dataclasses.replace(span, shuffle=False))
    try:
        values = list(itertools.islice(override.sweep_string_iterator(), MOST + 1))
    except (ValueError, ArithmeticError) as error:  # a step of 0, an end that is no number
        raise ConfigError(f"{override.input_line}: {one_line(error)}") from None
    if len(values) > MOST:
        raise ConfigError(f"{override.input_line}: gives more than {MOST:,} values")
    if not values:
        raise ConfigError(f"{override.input_line}: gives no value")
    if isinstance(span, RangeSweep) and span.shuffle:
        random.shuffle(values)
    return values


def _key(text: str) -> str:
    return _name(text.partition("=")[0])


def _name(key: str) -> str:
    """A setting, however it is given: ``~seed`` and ``++seed`` are about ``seed`` too."""
    return key.lstrip("+~")


def _axes(overrides: Iterable[Override]) -> Axes:
    axes: Axes = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            value = override.get_value_element_as_str()
            axes[key] = [key if override.is_delete() and not value else f"{key}={value}"]
        elif override.is_discrete_sweep():
            axes[key] = [f"{key}={value}" for value in _values(override)]
        else:
            raise ConfigError(
                f"{override.input_line}: a grid needs a list of values, such as {key}=0.9,0.95; "
                "intervals are for optimising sweepers"
            )
    return axes
