"""Trackers show what runs do, elsewhere; they read what records are told and change nothing."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from sanity.core.errors import ConfigError
from sanity.experiment.instantiate import component, resolved
from sanity.trackers.base import Tracker
from sanity.trackers.guard import said_by, say_once, standing_aside


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
        values, then = resolved(cfg, group), "the run goes on without it"
        with standing_aside(group, then, refuses=True, required=required):
            tracker = component(group, values, Tracker)
            tracker.validate()
            if tracker.active:
                found.append(tracker)
    return found


def say_where(trackers: Sequence[Tracker], group: str | None) -> None:
    """One line a tracker of where to look, once a process."""
    for tracker in trackers:
        with standing_aside(said_by(tracker), "the run goes on", refuses=True):
            say_once(tracker.where(group))
