"""Sweeps planned as the sweeper plans them, without starting anything."""

from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from sanity.core.config import PROJECT
from sanity.sweep import launch
from sanity.sweep.plan import Plan


def loader_of(config_dir: Path | None = None) -> ConfigLoader:
    """What finds and composes the configuration; ``config_dir`` is that of --config-dir."""
    search_path = create_config_search_path(str(PROJECT / "conf"))
    if config_dir is not None:
        last = SearchPathQuery(provider="schema")
        search_path.prepend("command-line", f"file://{config_dir}", last)
    return ConfigLoaderImpl(search_path)


def configuration(loader: ConfigLoader, *arguments: str) -> DictConfig:
    """The configuration of a multirun with these arguments, as the sweeper is given it."""
    return loader.load_configuration("config", list(arguments), run_mode=RunMode.MULTIRUN)


def plan_of(*arguments: str, config_dir: Path | None = None) -> Plan:
    """What ``python run.py -m <arguments>`` would start."""
    loader = loader_of(config_dir)
    config = configuration(loader, *arguments)
    tasks = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)  # as Hydra does
    assert isinstance(tasks, list)
    return launch.plan(config, loader, tasks)
