"""What the commands ``python -m sanity.x`` have in common: their manners, and the default store."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sanity.cli.variables import refuse_misspelled
from sanity.core import shutdown
from sanity.core.config import PROJECT, absolute
from sanity.core.errors import ConfigError, SanityError, as_line, reason
from sanity.core.output import take_any_text
from sanity.core.signals import Terminated


def answer(program: str, act: Callable[[], int]) -> int:
    """The exit code of ``act``; a known problem is one line, and 2 for settings or 1."""
    take_any_text()
    try:
        refuse_misspelled(os.environ)
        shutdown.work_begins()
        return act()
    except SanityError as error:
        complain(program, error)
        return 2 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:  # head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        complain(program, f"{error.filename}: {reason(error)}")
        return 1
    except (KeyboardInterrupt, Terminated) as error:
        ended = shutdown.of(program)
        return ended.say(ended.cause(error) or signal.SIGINT)
    finally:
        shutdown.work_ends()


def parser(program: str, about: str | None) -> argparse.ArgumentParser:
    """That of a command, by its module's docstring: what it does, its usage, its arguments."""
    what, _, arguments = (about or "").split("\n\n")
    return argparse.ArgumentParser(prog=f"python -m {program}", description=what, epilog=arguments)


def complain(program: str, problem: object) -> None:
    """One line on stderr."""
    print(f"{program}: {as_line(problem)}", file=sys.stderr)


def store_dir(given: str | None) -> Path:
    """The store that ``--store-dir`` gives, or else the default one of runs."""
    default = os.environ.get("SANITY_STORE_DIR", str(PROJECT / "store"))
    if not (given or default).strip():
        raise ConfigError("SANITY_STORE_DIR=: must name a directory")
    return absolute("--store-dir", given or default)
