"""Trackers show what runs do, elsewhere; they read what records are told and change nothing."""

import logging
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from sanity.components import component, plain
from sanity.errors import ConfigError
from sanity.trackers.base import Tracker

log = logging.getLogger(__name__)

_said: set[str] = set()


def build(cfg: DictConfig) -> list[Tracker]:
    """The trackers that the group ``tracker`` chooses, checked; raises ConfigError."""
    chosen = OmegaConf.select(cfg, "tracker")
    if chosen is None:
        return []
    if not isinstance(chosen, DictConfig):
        raise ConfigError(f"tracker={chosen}: must be one of its options, or none; see --help")
    found = []
    for name in chosen:
        group = f"tracker.{name!s}"
        tracker = component(group, plain(cfg, group), Tracker)
        tracker.check()
        found.append(tracker)
    return [tracker for tracker in found if tracker.active]


def say_where(trackers: Sequence[Tracker], group: str | None) -> None:
    """One line a tracker of where to look, once a process."""
    for line in (tracker.where(group) for tracker in trackers):
        if line not in _said:
            _said.add(line)
            log.info("%s", line)
