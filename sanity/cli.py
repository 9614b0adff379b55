"""The command line's manners: whatever goes wrong is one clear line and an exit code.

Hydra prints its own, longer messages for configuration errors; it leaves exceptions alone when a
full error is asked for, which is how they get here to be put shortly.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

import sanity.config  # noqa: F401  registers what conf/ refers to
from sanity.errors import ConfigError, SanityError, one_line

FULL_ERROR = "HYDRA_FULL_ERROR"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def start(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a known problem ends in one line and exit code 1 or 2."""
    if os.environ.get(FULL_ERROR, "0") != "0":  # the user asked for tracebacks
        main()
        return
    os.environ[FULL_ERROR] = "1"
    try:
        main()
    except ConfigError as error:
        _leave(str(error), 2)
    except SanityError as error:
        _leave(str(error), 1)
    except (HydraException, OmegaConfBaseException) as error:
        _leave(one_line(error), 2)
    except KeyboardInterrupt:
        _leave(
            "interrupted; finished stages are kept, the same command goes on from them", INTERRUPTED
        )


def _leave(message: str, code: int) -> None:
    print(f"run.py: {message}", file=sys.stderr)
    sys.exit(code)
