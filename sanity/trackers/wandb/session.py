"""What a process knows of W&B, for all of its runs: its credentials, its agent, its troubles."""

import netrc
import os
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sanity.core.errors import one_line

SWEEP = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")

service = threading.RLock()
"""Starting and ending runs, one at a time: a failed start takes the whole service down with it."""


@dataclass
class Session:
    """State of wandb in this process; wandb itself speaks to it, as to a logger.

    ``agent`` is what a W&B agent has told this process of the run that it is to be, ``directory``
    where runs are kept.
    """

    directory: Path | None = None

    unreachable: bool = False
    prepared: bool = False
    problems: list[str] = field(default_factory=list)
    agent: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make wandb quiet, and keep an agent's run for what it has asked for."""
        import wandb

        self.hear_agent()
        if not self.prepared:
            make_room(self.directory or Path(tempfile.gettempdir()))
            quiet = wandb.Settings(silent=True)
            wandb.termsetup(quiet, self)
            wandb.setup(quiet)
            self.prepared = True

    def hear_agent(self) -> dict[str, str]:
        """What the agent that has started this process says of its run, if there is one."""
        for name in SWEEP:
            if name in os.environ:  # wandb would take every run for the agent's
                self.agent[name] = os.environ.pop(name)
        return self.agent

    def restart(self) -> None:
        """Begin anew with wandb; runs that are open are ended."""
        import wandb

        wandb.teardown()
        self.prepared = False
        self.prepare()
        self.problems.clear()

    def info(self, message: str) -> None:
        """What wandb would print; our own lines say it."""

    def warning(self, message: str) -> None:
        """What wandb would warn of; of uploads that failed, the run that is ended next tells."""
        if "error" in message.lower():
            self.problems.append(message)

    def error(self, message: str) -> None:
        """What wandb would call an error."""
        self.problems.append(message)


session = Session()


def make_room(directory: Path) -> None:
    """See that wandb has a home, and a cache that it may write to, if need be in ``directory``.

    It does not start without the first: a user without an entry or HOME has none. Without the
    second, its process writes its log to our stderr.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111
        os.environ["HOME"] = str(directory)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    own = os.environ.get("WANDB_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    places = (Path(own), directory / ".cache", Path(tempfile.gettempdir()))
    cache = next((place for place in places if _takes_logs(place)), None)
    if cache is not None and cache != places[0]:
        os.environ["WANDB_CACHE_DIR"] = str(cache)


def _takes_logs(cache: Path) -> bool:
    try:
        logs = cache / "wandb" / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=logs) as file:
            file.write(b" ")
    except OSError:
        return False
    return True


def has_key() -> bool:
    """Whether credentials are configured for the server: in the environment or in a netrc file."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        entries = netrc.netrc(_netrc()).hosts
    except (OSError, ValueError, netrc.NetrcParseError):
        return False
    found = {host for host, entry in entries.items() if entry[2]}
    return bool(found) and not found.isdisjoint(_hosts())


def _netrc() -> Path:
    """The one file in which wandb looks for a key."""
    given = os.environ.get("NETRC")
    # Unlike pathlib's, this leaves "~" alone where nobody knows a home: there is no such file then.
    names = [given] if given else ["~/.netrc", "~/_netrc"]
    places = [Path(os.path.expanduser(name)) for name in names]  # noqa: PTH111
    return next((place for place in places if place.exists()), places[0])


def _hosts() -> set[str]:
    """The names under which a netrc file may have the server's key."""
    import wandb  # late: it takes half a second, and most who have no key have no such file

    with service:
        session.prepare()
        base_url = wandb.setup().settings.base_url  # of the environment, or `wandb login --host`
    default = base_url == wandb.Settings.model_fields["base_url"].default
    return {urlsplit(base_url).netloc} | ({"api.wandb.ai"} if default else set())


def short(error: Exception) -> str:
    """The first and most telling line of wandb's errors."""
    text = one_line(error) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
