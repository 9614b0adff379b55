"""What a command comes to short of training: the line that it ends with, or nothing wrong."""

import contextlib
import io
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sanity import trackers
from sanity.cli import entry as cli
from sanity.core.config import PROJECT
from sanity.experiment.composition import composition_of_run
from sanity.experiment.experiment import build
from sanity.experiment.unread import locating, refuse_unread
from sanity.experiment.validation import validate
from sanity.stats import criteria

ROOM = 4 * 2**30  # bytes that a configuration may take beside what is there already


def check(cfg: DictConfig) -> None:
    """All that a run does with its configuration before anything costs time."""
    OmegaConf.to_container(cfg, resolve=True)
    trackers.build(cfg)
    criteria.of(cfg)
    validate(build(cfg))


def complaint(*overrides: str, options: Sequence[str] = ()) -> str | None:
    """What ``run.py`` says to ``overrides``, in its words; None where it would begin to train.

    Fails for anything but one printable line and an exit code that says what kind of problem.
    ``options`` are files of one's own, such as ``hydra.searchpath=[...]``, unknown to messages.
    """

    def main() -> None:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            check(compose("config", [*options, *overrides]))

    return _said(main, overrides)


def command(*arguments: str, function: Callable[[DictConfig], None] | None = None) -> str | None:
    """The same of a whole command line, options included, as Hydra takes it; plans are printed."""

    def of_run(cfg: DictConfig) -> None:
        composed = composition_of_run(cfg)
        refuse_unread(composed)
        with locating(composed):
            (function or check)(cfg)

    def main() -> None:
        GlobalHydra.instance().clear()
        hydra_main = hydra.main(
            version_base="1.3", config_path=str(PROJECT / "conf"), config_name="config"
        )
        hydra_main(lambda cfg: cli.job(of_run, cfg))()

    with mock.patch.object(HydraConfig.instance(), "cfg", None):
        return _said(main, arguments)


def _said(main: Callable[[], None], arguments: Sequence[str]) -> str | None:
    stderr = io.StringIO()
    with _as_a_command(arguments), contextlib.redirect_stderr(stderr):
        code = _code_of(main)
    if code == 0:
        return None
    text = stderr.getvalue()
    assert code in (1, 2)
    line = text.removeprefix("run.py: ").removesuffix("\n")
    assert text == f"run.py: {line}\n"
    assert line.isprintable(), ascii(line)
    assert 3 < len(line) < 3000
    return line


def _code_of(main: Callable[[], None]) -> int:
    try:
        cli.start(main)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextlib.contextmanager
def _as_a_command(arguments: Sequence[str]) -> Iterator[None]:
    """What a process of its own would do for us: its arguments, and changes that end with it."""
    with (
        mock.patch.object(sys, "argv", ["run.py", *arguments]),
        mock.patch.object(sys, "path", list(sys.path)),
        mock.patch.dict("os.environ"),
        mock.patch.object(cli.shutdown, "begin"),
        mock.patch("logging.raiseExceptions", True),
    ):
        yield


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """No more memory than ``ROOM``, where the system can be told so: then MemoryError is raised."""
    pages = Path("/proc/self/statm")
    before = resource.getrlimit(resource.RLIMIT_AS)
    if pages.exists():
        used = int(pages.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
