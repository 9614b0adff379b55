"""Show finished runs, and set up the dashboard on which they are compared.

python -m sanity.trackers send DIR... [--again]     show the runs below these directories
python -m sanity.trackers dashboard [--print]       create or update the project's W&B workspace

Settings are those of run.py, such as tracker=tensorboard or tracker.wandb.project=mine; without
any, a run is sent to the tracker that it had, or else to W&B.
"""

if __name__ == "__main__":  # before all that takes time: Ctrl-C ends it in one line from here on
    from sanity.core import shutdown

    shutdown.begin("sanity.trackers")

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sanity import trackers
from sanity.cli.commands import answer, parser
from sanity.cli.entry import explain
from sanity.cli.overrides import quoted
from sanity.core.config import PROJECT
from sanity.core.console import LogHandler
from sanity.core.errors import ConfigError
from sanity.trackers.base import Tracker
from sanity.trackers.wandb import Wandb


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[LogHandler()])
    return answer("sanity.trackers", lambda: int(options.command(options)))


def send(options: argparse.Namespace) -> int:
    """Show finished runs from their records."""
    from sanity.trackers.send import send as send_runs

    places = [Path(text) for text in options.what if "=" not in text or Path(text).exists()]
    overrides = [text for text in options.what if Path(text) not in places]
    if not places:
        raise ConfigError("send: needs the directory of a run or a sweep")
    default = _trackers(overrides, options.config_dir)
    if not default:
        raise ConfigError("tracker=none: shows nothing; choose wandb or tensorboard")
    said = any(text.startswith(("tracker", "+tracker", "++tracker")) for text in overrides)

    def choose(content: dict[str, Any]) -> list[Tracker]:
        return default if said else _own(content, options.config_dir is not None) or default

    runs, failed = send_runs(places, choose, anew=options.again)
    print(f"{runs - failed} of {runs} runs are shown")
    return 1 if failed else 0


def dashboard(options: argparse.Namespace) -> int:
    """Create or update the project's W&B workspace."""
    from sanity.trackers.wandb import dashboard as dashboards

    for name in ("WANDB_MODE", "WANDB_DISABLED"):  # of runs; a dashboard is always the server's
        os.environ.pop(name, None)
    settings = [one for one in _trackers(options.overrides) if isinstance(one, Wandb)]
    if not settings:
        raise ConfigError("dashboard: is one of W&B's; choose tracker=wandb")
    (chosen,) = settings
    if options.print:
        entity = chosen.entity or "(your default)"
        found = dashboards.specification(entity, chosen.project, options.sweep)
        print(json.dumps(found, indent=2))
    else:
        print(dashboards.save(chosen.entity, chosen.project, options.sweep))
    return 0


def _own(content: dict[str, Any], own_too: bool) -> list[Tracker]:
    """The trackers that the run itself had; whether there is a server is today's question.

    A record is data, which people pass on: it may choose trackers of this package, or of the
    user's own where their directory is given, and ask for nothing of the environment.
    """
    settings = deepcopy(content["config"].get("tracker") or {})
    if not isinstance(settings, dict) or "${" in json.dumps(settings):
        raise ConfigError(f"config.tracker of a record is {settings}: must be values, by tracker")
    for name, values in settings.items():
        target = values.get("_target_") if isinstance(values, dict) else values
        if not (own_too or str(target).startswith("sanity.")):
            raise ConfigError(
                f"tracker.{name} of a record is {target}, which is not of this package: give the "
                "directory of your own trackers with --config-dir, or choose one with tracker="
            )
    if "wandb" in settings:
        settings["wandb"]["mode"] = os.environ.get("WANDB_MODE") or "auto"
    return trackers.build(DictConfig({"tracker": settings}), required=True)


def _trackers(overrides: Sequence[str], config_dir: Path | None = None) -> list[Tracker]:
    own = []
    if config_dir is not None:
        if not config_dir.is_dir():
            raise ConfigError(f"--config-dir={config_dir}: no such directory")
        sys.path.append(str(config_dir.absolute()))
        place = f"file://{config_dir.absolute()}"  # as Hydra reads it: nothing is decoded
        own = [f"hydra.searchpath=[{quoted(place)}]"]
    try:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            return trackers.build(compose("config", [*own, *overrides]), required=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides)) from None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options; argparse leaves over what stands on both sides of an option."""
    wanted = _parser()
    options, more = wanted.parse_known_args(arguments)
    if any(text.startswith("-") for text in more):
        wanted.error(f"unrecognized arguments: {' '.join(more)}")
    given = options.what if "what" in options else options.overrides
    given += more
    return options


def _parser() -> argparse.ArgumentParser:
    program = parser("sanity.trackers", __doc__)
    commands = program.add_subparsers(required=True, metavar="COMMAND")
    added = {}
    for command in (send, dashboard):
        name, about = command.__name__, command.__doc__
        added[name] = commands.add_parser(name, help=about, description=about)
        added[name].set_defaults(command=command)
    sending, showing = added["send"], added["dashboard"]
    sending.add_argument("what", nargs="+", metavar="DIR|SETTING=VALUE")
    sending.add_argument("--config-dir", type=Path, help="where your own trackers are")
    sending.add_argument("--again", action="store_true", help="also what was shown before")
    showing.add_argument("overrides", nargs="*", metavar="SETTING=VALUE")
    showing.add_argument("--sweep", help="of this sweep alone: its name, as in the runs' group")
    showing.add_argument("--print", action="store_true", help="show it; nothing is sent")
    return program


if __name__ == "__main__":
    sys.exit(main())
