"""The command line's manners: whatever goes wrong is one clear line and an exit code.

Hydra prints its own, longer messages for configuration errors; it leaves exceptions alone when a
full error is asked for, which is how they get here to be put shortly.
"""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sanity import patterns, pending
from sanity.config import PROJECT, unknown_setting
from sanity.errors import ConfigError, SanityError, as_line, one_line
from sanity.files import DISK_ERRORS, reason
from sanity.miswritten import explain_file, own_directories
from sanity.signals import Terminated, raise_on_signals

log = logging.getLogger(__name__)

FULL_ERROR = "HYDRA_FULL_ERROR"
WANTS_TRACEBACKS = os.environ.get(FULL_ERROR) == "1"
WITH_VALUE = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"}
WITH_VALUE |= {"--cfg", "-c", "--package", "-p", "--info", "-i", "--shell-completion", "-sc"}
KNOWN = (SanityError, HydraException, OmegaConfBaseException)
KILLED = 128  # and the signal's number, as shells report it: 130 for Ctrl-C, 143 for SIGTERM


def start(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a known problem ends in one line and exit code 1 or 2."""
    sys.argv[1:] = arranged([patterns.escaped(text) for text in sys.argv[1:]])
    if len(own := own_directories(sys.argv[1:])) > 1:
        _leave(f"--config-dir: is given {len(own)} times, and only the last would be read", 2)
    sys.path.append(str(PROJECT / "sweeps"))  # where Hydra finds our sweeper and launchers
    raise_on_signals()
    if WANTS_TRACEBACKS:
        _run(main)
        return
    os.environ[FULL_ERROR] = "1"
    logging.raiseExceptions = False  # a log file on a full disk must not bury the run's own word
    try:
        _run(main)
    except KNOWN as error:
        _leave_for(error)
    except KeyboardInterrupt:
        _leave("interrupted; the same command goes on where it stopped", KILLED + signal.SIGINT)
    except Terminated as error:
        _leave(f"{error}; the same command goes on where it stopped", KILLED + error.signum)
    except Exception as error:
        if (disk := _disk_error(error)) is not None:
            _leave(f"{disk.filename or 'the run directory'}: {reason(disk)}", 1)
        if not _is_composing(error):
            raise
        _leave(explain(error, sys.argv[1:]), 2)


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
    if HydraConfig.get().mode == RunMode.RUN and OmegaConf.select(cfg, "sweep.plan"):
        _leave("sweep.plan=true: needs a sweep; choose one with sweep=..., or use -m", 2)
    try:
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


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """One line for what Hydra, OmegaConf or YAML did not accept, with what was probably meant."""
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if (line := explain_file(error, arguments)) is not None:
        return line
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return _misused(arguments) or f"the configuration cannot be composed: {one_line(error)}"
    key = re.match(r"Could not override '([\w./@-]+)'", str(error))
    if key is None:
        return one_line(error)
    *parents, name = key[1].split(".")
    known = _known_keys(parents, arguments)
    if name in known:
        return f"{key[1]}: new keys are added one by one, with +{key[1]}.name=value"
    return unknown_setting(".".join(parents), name, known) if known else one_line(error)


def _unreadable(override: str) -> str:
    return f"{override}: cannot be read; settings are given as key=value"


def _misused(arguments: Sequence[str]) -> str | None:
    """The line for an argument with which Hydra cannot deal, and says so in its own terms."""
    parser, groups = OverridesParser.create(), _groups()
    for text in arguments:
        if text.startswith("-") or "=" not in text:
            continue
        try:
            override = parser.parse_override(text)
            value = "" if override.is_sweep_override() else override.value()
        except Exception:  # numbers of thousands of digits, lists nested thousands deep
            return _unreadable(text)
        if override.key_or_group in groups and not _is_option(value):
            return f"{text}: must be the name of one of its options; see --help"
    return None


def _is_option(value: Any) -> bool:
    """Whether it may stand for an option, or several, or (a map) for a group's settings."""
    names = value if isinstance(value, list) else [value]
    named = all(isinstance(name, str) and "${" not in name for name in names)
    return named or isinstance(value, dict)


def _groups() -> list[str]:
    return [path.name for path in (PROJECT / "conf").iterdir() if path.is_dir()]


def _known_keys(parents: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The keys below ``parents`` in the configuration with the arguments' choices of options."""
    groups = _groups()
    choices = [text for text in arguments if text.split("=")[0] in groups and "," not in text]
    if "--config-dir" in arguments[:-1]:
        own = Path(arguments[list(arguments).index("--config-dir") + 1]).absolute()
        choices.append(f"hydra.searchpath=[{own.as_uri()}]")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            node = OmegaConf.select(compose("config", choices), ".".join(parents) or ".")
    except Exception:  # it is another mistake of the arguments that is to be told
        return []
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def _leave_for(error: Exception) -> None:
    if isinstance(error, SanityError):
        _leave(str(error), 2 if isinstance(error, ConfigError) else 1)
    _leave(explain(error, sys.argv[1:]), 2)


def _leave(message: str, code: int) -> None:
    with suppress(OSError):  # of a terminal that was closed
        print(f"run.py: {as_line(message)}", file=sys.stderr)
    sys.exit(code)
