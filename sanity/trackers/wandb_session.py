"""What a process knows of W&B, for all of its runs: its credentials, its agent, its troubles."""

import logging
import netrc
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sanity.errors import one_line

log = logging.getLogger(__name__)

SWEEP = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")

service = threading.RLock()
"""Starting and ending runs, one at a time: a failed start takes the whole service down with it."""


@dataclass
class Session:
    """State of wandb in this process; wandb itself speaks to it, as to a logger.

    ``agent`` is what a W&B agent has told this process of the run that it is to be.
    """

    unreachable: bool = False
    prepared: bool = False
    said: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    agent: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make wandb quiet, and keep an agent's run for the ticket alone."""
        import wandb

        for name in SWEEP:
            if name in os.environ:
                self.agent[name] = os.environ.pop(name)
        if not self.prepared:
            quiet = wandb.Settings(silent=True)
            wandb.setup(quiet)
            wandb.termsetup(quiet, self)
            self.prepared = True

    def restart(self) -> None:
        """Begin anew with wandb; runs that are open are ended."""
        import wandb

        wandb.teardown()
        self.prepared = False
        self.prepare()
        self.problems.clear()

    def say(self, text: str) -> None:
        """A line, once."""
        if text not in self.said:
            self.said.add(text)
            log.info("%s", text)

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


def has_key() -> bool:
    """Whether credentials are configured for the server: in the environment or in a netrc file."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    found = set()
    for text in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        try:
            entries = netrc.netrc(Path(text).expanduser()).hosts if text else {}
        except (OSError, netrc.NetrcParseError):
            continue
        found |= {host for host, entry in entries.items() if entry[2]}
    return bool(found) and not found.isdisjoint(_hosts())


def _hosts() -> set[str]:
    """The names under which a netrc file may have the server's key."""
    import wandb  # late: it takes half a second, and most who have no key have no such file

    settings = wandb.Settings()
    hosts = {urlsplit(settings.base_url).netloc}
    default = settings.base_url == wandb.Settings.model_fields["base_url"].default
    return hosts | ({"api.wandb.ai"} if default else set())


def short(error: Exception) -> str:
    """The first and most telling line of wandb's errors."""
    text = one_line(error) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
