"""Published accuracies beside one's own: the paper's, and those of a reproduction."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sanity.core.config import PROJECT
from sanity.report.data.cells import Arm, Cell, Context
from sanity.report.data.runs import kind

FILE = Path(__file__).with_name("references.yaml")
RECIPE = {
    **{"epochs": 160, "batch_size": 64, "lr": 0.1, "precision": "fp32", "momentum": 0.9},
    **{"nesterov": False, "weight_decay": 1e-4, "schedule": "step", "gamma": 0.1},
    "milestones": [0.5, 0.75],
}
IMAGES = {"crop_padding": 4, "flip": True, "validation_size": 0, "limit": None}
"""What the numbers were trained with, as the paper has it (the reproduction's random tickets had
weight decay 5e-4)."""

PLACE = ("dataset", "arch", "pruner", "ratio", "rewind")


@dataclass(frozen=True)
class Reference:
    """An accuracy in percent, whose it is, and how it was come by."""

    accuracy: float
    source: str
    about: str


def of_arm(cell: Cell, arm: Arm) -> Reference | None:
    """The published accuracy of an arm of a cell, if there is one.

    None where the recipe is another one: two epochs are not to be compared with 160.
    """
    config = arm.any_run.config
    whole_schedule = not config.get("rewind", {}).get("epoch")
    if cell.sparsity is None or not _same_recipe(config) or not whole_schedule:
        return None
    choices = {**cell.choices, **_of_context(cell.context), "sanity_check": arm.check}
    if cell.missed is not None or not _as_shipped(config, choices):
        return None
    place = (cell.context.dataset, cell.context.arch, *map(cell.choices.get, PLACE[2:]))
    return _cells().get((*place, arm.check, round(cell.sparsity, 6)))


def of_dense(cell: Cell) -> Reference | None:
    """The published accuracy of the dense network of a cell's context."""
    context, config = cell.context, cell.any_run.config
    if not _same_recipe(config) or not _as_shipped(config, _of_context(context)):
        return None
    return _dense().get((context.dataset, context.arch))


def _of_context(context: Context) -> dict[str, str]:
    return {"dataset": context.dataset, "arch": context.arch}


def _as_shipped(config: Mapping[str, Any], choices: Mapping[str, str]) -> bool:
    """Whether the options of these names are ours, with the settings that they come with.

    A network of one's own may bear any name, and ours may be made narrower.
    """
    for group, name in choices.items():
        ours, found = _option(group, name), config.get(group, {})
        if ours is None or kind(config, group, name) != name:
            return False
        if any(found.get(setting, value) != value for setting, value in ours.items()):
            return False
    return True


@functools.cache
def _option(group: str, name: str) -> dict[str, Any] | None:
    """The settings of an option's own file, but for those that say where a run stands."""
    path = PROJECT / "conf" / group / f"{name}.yaml"
    if not path.is_file():
        return None
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(content, dict)
    values = content.get(group, content)
    apart = ("_target_", "sparsity", "epoch", "defaults")
    return {
        name: value
        for name, value in values.items()
        if name not in apart and "${" not in str(value) and value != "???"
    }


def _same_recipe(config: Mapping[str, Any]) -> bool:
    wanted: dict[str, dict[str, Any]] = {"training": RECIPE, "dataset": IMAGES}
    return all(values.items() <= config.get(group, {}).items() for group, values in wanted.items())


@functools.cache
def _content() -> list[dict[str, Any]]:
    content = OmegaConf.to_container(OmegaConf.load(FILE))
    assert isinstance(content, list)
    return content


@functools.cache
def _cells() -> dict[tuple[Any, ...], Reference]:
    found = {}
    for source in _content():
        for cell in source["cells"]:
            place = tuple(cell[name] for name in PLACE)
            for check in cell.keys() - PLACE:
                for sparsity, accuracy in cell[check].items():
                    reference = Reference(accuracy, source["source"], source["about"])
                    found[(*place, check, float(sparsity))] = reference
    return found


@functools.cache
def _dense() -> dict[tuple[str, str], Reference]:
    return {
        (one["dataset"], one["arch"]): Reference(one["accuracy"], source["source"], source["about"])
        for source in _content()
        for one in source.get("dense", [])
    }
