"""Trackers show what runs do, elsewhere; they read what records are told and change nothing."""

import logging
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from sanity.core.errors import ConfigError
from sanity.experiment.instantiate import component, resolved
from sanity.trackers.base import Tracker
from sanity.trackers.guard import said_by, standing_aside

log = logging.getLogger(__name__)

_said: set[str] = set()


def build(cfg: DictConfig, *, required: bool = False) -> list[Tracker]:
    """The trackers that the group ``tracker`` chooses, checked; raises ConfigError.

    A setting that is wrong is refused. A tracker that fails by itself (its module, its
    constructor, its check) is left out with a warning, unless it is ``required``.
    """
    chosen = OmegaConf.select(cfg, "tracker")
    if chosen is None:
        return []
    if not isinstance(chosen, DictConfig):
        raise ConfigError(f"tracker={chosen}: must be one of its options, or none; see --help")
    found: list[Tracker] = []
    for name in chosen:
        group = f"tracker.{name!s}"
        values = resolved(cfg, group)
        who, then = f"tracker.{name!s}", "the run goes on without it"
        with standing_aside(who, then, refuses=True, required=required):
            tracker = component(group, values, Tracker)
            tracker.validate()
            if tracker.active:
                found.append(tracker)
    return found


def say_where(trackers: Sequence[Tracker], group: str | None) -> None:
    """One line a tracker of where to look, once a process."""
    for tracker in trackers:
        with standing_aside(said_by(tracker), "the run goes on", refuses=True):
            line = tracker.where(group)
            if line not in _said:
                _said.add(line)
                log.info("%s", line)
