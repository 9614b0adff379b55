"""From a command to a sweep on disk: plan it, find its directory, write its sweep."""

import dataclasses
import itertools
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sanity.cli.overrides import quoted
from sanity.core.config import make_importable
from sanity.core.errors import ConfigError, SweepError
from sanity.core.files import write_atomically
from sanity.experiment import unread
from sanity.experiment.composition import composition
from sanity.experiment.option_files import composed_from, typed_in
from sanity.stats.looks import up_to
from sanity.sweep import design, growth, snapshot
from sanity.sweep import sweep as sweeps
from sanity.sweep.compose import Composer
from sanity.sweep.grid import expand, expand_controls, of_seeds, seeds_of
from sanity.sweep.plan import Plan
from sanity.sweep.planner import Planner
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)

OF_THE_SWEEP = (
    *("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper"),
    *("hydra.sweep", "hydra.mode", "hydra.run"),
)


def plan(config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> Plan:
    """The plan of the grid that ``sweep`` and the command line's ``arguments`` ask for."""
    parser = OverridesParser.create(config_loader=loader)
    _refuse_unread(config, loader)
    _refuse_swept_sweeps(arguments, parser)
    own = [text for text in arguments if _key(text).split(".")[0] != "sweep"]
    for name in ("store_dir", "data_dir"):
        if len(expand(None, [text for text in own if _key(text) == name], parser)) > 1:
            raise ConfigError(f"{name}: all jobs of a sweep share one")
    _refuse_lost_settings(config, loader)
    title = OmegaConf.select(config, "sweep.title") or " ".join(own)
    grid, controls = (_content(config, f"sweep.{name}") for name in ("grid", "controls"))
    jobs, beside = expand(grid, own, parser), expand_controls(controls, grid, own, parser)
    planner, limits = _planner(config, loader), growth.limits(config)
    if not planner.grows(jobs):
        found = planner(str(title), (jobs, beside))
        growth.refuse_limits(config)
        return found
    seeds = seeds_of([*jobs, *beside], limits.most_seeds, config.seed)
    looks = [0, *up_to(limits.most_seeds)]
    fresh = [seeds[before:now] for before, now in itertools.pairwise(looks)]
    batches = ((of_seeds(jobs, some), of_seeds(beside, some)) for some in fresh)
    found = planner(str(title), *batches, seeds=seeds[: looks[-1]])
    design.refuse_without_question(found)
    return found


def plan_jobs(config: DictConfig, loader: ConfigLoader, jobs: Sequence[Sequence[str]]) -> Plan:
    """The plan of jobs given by their overrides."""
    return _planner(config, loader)("", (jobs, ()))


def _planner(config: DictConfig, loader: ConfigLoader) -> Planner:
    make_importable(config.hydra.runtime.config_sources)
    common, mentions = _of_all_jobs(config), typed_in(config.hydra)
    composer = Composer(loader, config.hydra.job.config_name, common, mentions)
    return Planner(composer, str(_content(config, "hydra.sweep", resolve=False)["subdir"]))


def open_sweep(config: DictConfig, plan: Plan) -> Sweep:
    """The sweep on disk, written; an unfinished one of the same jobs is gone on with.

    Where ``hydra.sweep.dir`` is given, that is the directory; raises SweepError where another
    sweep lies there.
    """
    identity = sweeps.identity_of(plan)
    store_dir = absolute(config.store_dir)
    directory = sweep_directory(config)
    if "hydra.sweep.dir" in map(_key, _typed(config)):
        if (directory / sweeps.NAME).exists() and sweeps.read(directory).identity != identity:
            raise SweepError(f"hydra.sweep.dir={directory}: holds another sweep; choose another")
    else:
        directory = sweeps.earlier(store_dir, identity) or directory
    before = sweeps.read(directory) if (directory / sweeps.NAME).exists() else None
    taken = before.looks[-1].seeds if before is not None and before.looks else 0
    if taken > len(plan.seeds):
        raise ConfigError(
            f"sweep.most_seeds={growth.limits(config).most_seeds}: the sweep in {directory} has "
            f"{taken} already"
        )
    sweep = Sweep(
        directory=directory,
        plan=plan,
        budget=growth.limits(config).seconds,
        seen=seen(plan, before, store_dir),
        identity=identity,
        name=_name(config, identity),
        store_dir=store_dir,
        launcher=str(OmegaConf.select(config, "hydra.runtime.choices")["hydra/launcher"]),
        arguments=tuple(_of_all_jobs(config)),
        config_dir=_config_dir(config),
        config_name=config.hydra.job.config_name,
        command=tuple(sys.argv),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    sweep.write()
    sweep = sweep.renewed()
    write_atomically(directory / "multirun.yaml", OmegaConf.to_yaml(config))
    with open_dict(config):
        config.hydra.sweep.dir = str(directory)
    return sweep


def seen(plan: Plan, before: Sweep | None, store_dir: Path) -> bool:
    """Whether tickets of a sweep that grows had been trained before it was begun.

    ``before`` is the same sweep as it was begun. What others train afterwards changes nothing: from
    then on its looks are fixed, and they hold for who knows what later ones will have.
    """
    if before is not None and before.grows:
        return before.seen
    return bool(plan.seeds) and growth.seen(plan, store_dir)


def freeze(sweep: Sweep, loader: ConfigLoader) -> Sweep:
    """The sweep with a copy of the code as it is now, from which everything goes on in future.

    Called by who holds the sweep's lock, before jobs are started.
    """
    given = None if sweep.config_dir is None else Path(sweep.config_dir)
    code = snapshot.take(sweep.directory / "code", given, sweep.plan.code.modules.values())
    code.enter(given, loader)
    return dataclasses.replace(sweep, code=code)


def sweep_directory(config: DictConfig) -> Path:
    """``hydra.sweep.dir``, absolute; raises ConfigError for one that differs from job to job."""
    try:
        return Path(config.hydra.sweep.dir).absolute()
    except OmegaConfBaseException:
        template = _content(config, "hydra.sweep", resolve=False)["dir"]
        raise ConfigError(
            f"hydra.sweep.dir={template}: is the sweep's, and refers to what it has not; a "
            "job's own directory below it is hydra.sweep.subdir"
        ) from None


def _content(config: DictConfig, key: str, *, resolve: bool = True) -> Any:
    node = OmegaConf.select(config, key)
    return OmegaConf.to_container(node, resolve=resolve) if OmegaConf.is_config(node) else node


def _refuse_unread(config: DictConfig, loader: ConfigLoader) -> None:
    """What the sweep itself has to read, before what its jobs have."""
    files = composed_from(config.hydra, loader)
    values = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    unread.refuse_unread(composition(values, config.hydra, files, swept=True))


def _refuse_swept_sweeps(arguments: Sequence[str], parser: OverridesParser) -> None:
    """Raise ConfigError for several values of a setting that a sweep has once."""
    for text in arguments:
        of_sweep = _key(text).split(".")[0] == "sweep"
        if of_sweep and parser.parse_override(text).is_sweep_override():
            raise ConfigError(
                f"{text}: a command is one sweep, with one value of this; a list is written [a,b]"
            )


def _refuse_lost_settings(config: DictConfig, loader: ConfigLoader) -> None:
    """A job does not read the sweep's file: what it sets beside its grid would be lost unseen."""
    chosen = OmegaConf.select(config, "hydra.runtime.choices").get("sweep")
    if chosen is None:
        return
    name, common = config.hydra.job.config_name, _common(config)
    plain, with_sweep = (
        loader.load_configuration(name, [*common, *more], RunMode.RUN)
        for more in ([], [f"sweep={chosen}"])
    )
    ours = ("hydra", "sweep")
    lost = [str(key) for key in with_sweep if key not in ours and with_sweep[key] != plain.get(key)]
    if lost:
        raise ConfigError(
            f"sweep={chosen}: sets {lost[0]} beside sweep.grid, where jobs do not see it; put it "
            "into the grid, as a setting with one value"
        )


def _name(config: DictConfig, identity: str) -> str:
    """What trackers call the sweep: the same for the same jobs, another one for others."""
    if config.sweep.name is not None:
        return str(config.sweep.name)
    chosen = OmegaConf.select(config, "hydra.runtime.choices").get("sweep")
    return f"{chosen or 'sweep'}-{identity[:6]}"


def _common(config: DictConfig) -> list[str]:
    """Hydra's own overrides that concern every job, such as its logging."""
    return [text for text in _typed(config) if not _key(text).startswith(OF_THE_SWEEP)]


def _of_all_jobs(config: DictConfig) -> list[str]:
    """What all jobs share; directories are absolute: one may run from another copy of the code."""
    places = {name: quoted(str(absolute(config[name]))) for name in ("data_dir", "store_dir")}
    return [*_common(config), *(f"{name}={place}" for name, place in places.items())]


def _typed(config: DictConfig) -> list[str]:
    """Hydra's own overrides as they were given: what they refer to only a job may know."""
    return [str(text) for text in _content(config, "hydra.overrides.hydra", resolve=False)]


def _config_dir(config: DictConfig) -> str | None:
    sources = config.hydra.runtime.config_sources
    own = [source.path for source in sources if source.provider == "command-line"]
    return str(Path(own[0]).absolute()) if own else None


def absolute(directory: Any) -> Path:
    """A directory setting as an absolute path."""
    return Path(str(directory)).expanduser().absolute()


def _key(text: str) -> str:
    return text.split("=", 1)[0].lstrip("+~")
