"""Trackers show what runs do, elsewhere; they read what records are told and change nothing."""

from omegaconf import DictConfig, OmegaConf

from sanity.errors import ConfigError
from sanity.trackers.base import Tracker


def build(cfg: DictConfig) -> list[Tracker]:
    """The trackers that the group ``tracker`` chooses, checked; raises ConfigError."""
    from sanity.components import component, plain  # imports torch, which `pending` must not

    chosen = OmegaConf.select(cfg, "tracker")
    if chosen is None:
        return []
    if not isinstance(chosen, DictConfig):
        raise ConfigError(f"tracker={chosen}: must be one of its options, or none; see --help")
    found = []
    for name in chosen:
        group = f"tracker.{name}"
        tracker = component(group, plain(cfg, group), Tracker)
        tracker.check()
        found.append(tracker)
    return [tracker for tracker in found if tracker.active]
