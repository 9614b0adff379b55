"""Whatever a tracker raises, and wherever: a run goes on, with one warning."""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sanity.core.errors import ConfigError, one_line
from sanity.core.signals import Terminated
from sanity.trackers.base import Tracker

log = logging.getLogger(__name__)


@contextmanager
def standing_aside(
    who: str, then: str, *, refuses: bool = False, required: bool = False
) -> Iterator[None]:
    """Turn what a tracker raises in this block into a warning, SystemExit of a library included.

    Signals go further; so does, where it ``refuses`` settings, a ConfigError about one. Where it
    is ``required``, all that it raises becomes a ConfigError.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated):  # the user, or the system, means the run itself
        raise
    except BaseException as error:
        known = isinstance(error, ConfigError)
        if known and (required or (refuses and not _is_failure(error))):
            raise
        text = told(error).removeprefix(f"{who}: ")
        if required:
            raise ConfigError(f"{who}: {text}") from error
        log.warning("%s: %s; %s", who, text, then)


@functools.cache
def say_once(text: str) -> None:
    """Log a line, once a process."""
    log.info("%s", text)


def told(error: BaseException) -> str:
    """What an error says, in one line; some say nothing, or fail at that too."""
    try:
        return one_line(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def said_by(tracker: Tracker) -> str:
    """The name by which warnings call a tracker, which may have forgotten to have one."""
    try:
        return str(tracker.name)
    except Exception:
        return type(tracker).__name__


def _is_failure(error: BaseException) -> bool:
    """Whether it was made of what the tracker's code has raised, and no setting is wrong."""
    cause = error.__cause__
    if isinstance(cause, ModuleNotFoundError):  # its own module's name, or what that imports
        return f"_target_={cause.name}" not in str(error)
    if isinstance(cause, AttributeError) and cause.__traceback__ is not None:
        return cause.__traceback__.tb_next is not None  # otherwise the class itself is not there
    return cause is not None
