"""The command line's manners: whatever goes wrong is one clear line and an exit code.

Hydra prints its own, longer messages for configuration errors; it leaves exceptions alone when a
full error is asked for, which is how they get here to be put shortly.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sanity import pending
from sanity.config import PROJECT, unknown_setting
from sanity.errors import ConfigError, SanityError, one_line
from sanity.files import DISK_ERRORS
from sanity.signals import Terminated, raise_on_sigterm

log = logging.getLogger(__name__)

FULL_ERROR = "HYDRA_FULL_ERROR"
WANTS_TRACEBACKS = os.environ.get(FULL_ERROR) == "1"
WITH_VALUE = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"}
WITH_VALUE |= {"--cfg", "-c", "--package", "-p", "--info", "-i", "--shell-completion", "-sc"}
INTERRUPTED, TERMINATED = 130, 143  # 128 + SIGINT and SIGTERM, as shells report them


def start(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a known problem ends in one line and exit code 1 or 2."""
    sys.argv[1:] = arranged(sys.argv[1:])
    sys.path.append(str(PROJECT / "sweeps"))  # where Hydra finds our sweeper and launchers
    raise_on_sigterm()
    if WANTS_TRACEBACKS:
        _run(main)
        return
    os.environ[FULL_ERROR] = "1"
    logging.raiseExceptions = False  # a log file on a full disk must not bury the run's own word
    try:
        _run(main)
    except SanityError as error:
        _leave_for(error)
    except (HydraException, OmegaConfBaseException) as error:
        _leave(explain(error, sys.argv[1:]), 2)
    except OSError as error:
        if error.errno not in DISK_ERRORS and error.filename is None:
            raise
        _leave(f"{error.filename or 'the run directory'}: {error.strerror}", 1)
    except ValueError as error:  # Hydra's word for pruner=null
        if not str(error).startswith("Config group override"):
            raise
        _leave(one_line(error), 2)
    except KeyboardInterrupt:
        _leave("interrupted; the same command goes on where it stopped", INTERRUPTED)
    except Terminated as error:
        _leave(f"{error}; the same command goes on from the last checkpoint", TERMINATED)


def _run(main: Callable[[], Any]) -> None:
    """Call ``main``; trackers then have their time to show the rest, however it ended."""
    try:
        main()
    finally:
        pending.settle()


def arranged(arguments: Sequence[str]) -> list[str]:
    """Options first, overrides behind them: argparse refuses overrides on both sides of an option.

    So that ``-m`` can be added wherever one's cursor is.
    """
    options: list[str] = []
    overrides: list[str] = []
    before = ""
    for text in arguments:
        (options if text.startswith("-") or before in WITH_VALUE else overrides).append(text)
        before = text
    return [*options, *overrides]


def job(function: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
    """Call ``function``; in a single run a known problem ends it here.

    In a multirun it is the sweeper's to report, with those of all other jobs.
    """
    if HydraConfig.get().mode == RunMode.RUN and cfg.sweep.plan:
        _leave("sweep.plan=true: needs a sweep; choose one with sweep=..., or use -m", 2)
    try:
        return function(cfg)
    except SanityError as error:
        if HydraConfig.get().mode == RunMode.RUN and not WANTS_TRACEBACKS:
            _leave_for(error)
        log.error("%s", error)  # Hydra keeps it to itself, and the job's log is where to look
        raise
    except Exception:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.exception("the job failed")
        raise


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """One line for what Hydra or OmegaConf did not accept, with what was probably meant."""
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read; settings are given as key=value"
    key = re.match(r"Could not override '([\w./@-]+)'", str(error))
    if key is None:
        return one_line(error)
    *parents, name = key[1].split(".")
    known = _known_keys(parents, arguments)
    if name in known:
        return f"{key[1]}: new keys are added one by one, with +{key[1]}.name=value"
    return unknown_setting(".".join(parents), name, known) if known else one_line(error)


def _known_keys(parents: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The keys below ``parents`` in the configuration with the arguments' choices of options."""
    groups = [path.name for path in (PROJECT / "conf").iterdir() if path.is_dir()]
    choices = [text for text in arguments if text.split("=")[0] in groups and "," not in text]
    if "--config-dir" in arguments[:-1]:
        own = Path(arguments[list(arguments).index("--config-dir") + 1]).absolute()
        choices.append(f"hydra.searchpath=[{own.as_uri()}]")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            node = OmegaConf.select(compose("config", choices), ".".join(parents) or ".")
    except (HydraException, OmegaConfBaseException):
        return []
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def _leave_for(error: SanityError) -> None:
    _leave(str(error), 2 if isinstance(error, ConfigError) else 1)


def _leave(message: str, code: int) -> None:
    print(f"run.py: {message}", file=sys.stderr)
    sys.exit(code)
