"""The command line's manners: whatever goes wrong is one clear line and an exit code.

Hydra prints its own, longer messages for configuration errors; it leaves exceptions alone when a
full error is asked for, which is how they get here to be put shortly.
"""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from traceback import walk_tb
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sanity.cli.arguments import arranged
from sanity.cli.explain import explain, own_directories
from sanity.core import pending, shutdown
from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError, SanityError, as_line, reason
from sanity.core.files import DISK_ERRORS
from sanity.core.signals import Terminated
from sanity.experiment import patterns

log = logging.getLogger(__name__)

PROGRAM = "run.py"
FULL_ERROR = "HYDRA_FULL_ERROR"
WANTS_TRACEBACKS = os.environ.get(FULL_ERROR) == "1"
KNOWN = (SanityError, HydraException, OmegaConfBaseException)


def start(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a known problem ends in one line and exit code 1 or 2."""
    shutdown.begin(PROGRAM)
    sys.path.append(str(PROJECT / "sweeps"))  # where Hydra finds our sweeper and launchers
    if len(own := own_directories(sys.argv[1:])) > 1:
        _leave(f"--config-dir: is given {len(own)} times, and only the last would be read", 2)
    try:
        sys.argv[1:] = arranged([patterns.escaped(text) for text in sys.argv[1:]])
    except ConfigError as error:
        _leave_for(error)
    if WANTS_TRACEBACKS:
        _run(main)
        return
    os.environ[FULL_ERROR] = "1"
    logging.raiseExceptions = False  # a log file on a full disk must not bury the run's own word
    try:
        _run(main)
    except Exception as error:
        if (signum := shutdown.of(PROGRAM).cause(error)) is not None:
            _stop(signum)
        _leave_for(error)
    except (KeyboardInterrupt, Terminated) as error:
        _stop(shutdown.of(PROGRAM).cause(error) or 0)


def _run(main: Callable[[], Any]) -> None:
    """Call ``main``; trackers then have their time to show the rest, however it ended."""
    try:
        main()
    finally:
        shutdown.work_ends()
        pending.settle()


def job(function: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
    """Call ``function``; a known problem ends a single run, and is the sweeper's in a multirun."""
    if HydraConfig.get().mode == RunMode.RUN and OmegaConf.select(cfg, "sweep.plan"):
        _leave("sweep.plan=true: needs a sweep; choose one with sweep=..., or use -m", 2)
    try:
        shutdown.work_begins()
        return function(cfg)
    except KNOWN as error:  # which Hydra would put into words of its own
        if HydraConfig.get().mode == RunMode.RUN and not WANTS_TRACEBACKS:
            _leave_for(error)
        log.error("%s", error)  # Hydra keeps it to itself, and the job's log is where to look
        raise
    except Exception:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.exception("the job failed")
        raise


def _disk_error(error: BaseException | None) -> OSError | None:
    """What the disk said to it, also where somebody (a log file's handler) has wrapped that."""
    while error is not None:
        if isinstance(error, OSError) and (error.errno in DISK_ERRORS or error.filename):
            return error
        error = error.__cause__
    return None


def _is_composing(error: Exception) -> bool:
    """Whether Hydra has met the error by itself: before it called anything of ours, or a user's.

    What stands in a YAML file or an override makes it raise ValueError, TypeError, RecursionError
    and errors of YAML as well.
    """
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    packages = [name.split(".")[0] for name in names]
    return "hydra" in packages and not {"sanity", "hydra_plugins", "__main__"} & set(
        packages[packages.index("hydra") :]
    )


def _leave_for(error: Exception) -> NoReturn:
    """End with the line for a known problem; raise any other again."""
    if isinstance(error, SanityError):
        _leave(str(error), 2 if isinstance(error, ConfigError) else 1)
    if not isinstance(error, KNOWN):
        if (disk := _disk_error(error)) is not None:
            _leave(f"{disk.filename or 'the run directory'}: {reason(disk)}", 1)
        if not _is_composing(error):
            raise error
    _leave(explain(error, sys.argv[1:]), 2)


def _stop(signum: int) -> NoReturn:
    sys.exit(shutdown.of(PROGRAM).say(signum, "; the same command goes on where it stopped"))


def _leave(message: str, code: int) -> NoReturn:
    with suppress(OSError):  # of a terminal that was closed
        print(f"{PROGRAM}: {as_line(message)}", file=sys.stderr)
    sys.exit(code)
