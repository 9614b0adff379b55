"""Weights & Biases: a run a training, live or offline; dashboards are in ``dashboard.py``.

What is tried with wandb 0.31 and holds: runs have an id that follows from the stage, so that a
resumed training finds its run; steps are epochs. Offline nothing can be resumed, so that a
training is told anew from its first epoch, in place of what an earlier attempt has left; online
the server says which steps it has, and only the others are sent.
"""

import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from sanity.core.config import PROJECT, absolute, unknown
from sanity.core.errors import ConfigError
from sanity.core.files import digest, near
from sanity.trackers.base import Curve, Tracker, Training
from sanity.trackers.guard import say_once
from sanity.trackers.training import SECRET
from sanity.trackers.wandb.run import WandbCurve
from sanity.trackers.wandb.session import has_key, service, short
from sanity.trackers.wandb.session import session as this_process

log = logging.getLogger(__name__)

MODES = ("auto", "online", "offline", "disabled")
FALSE = ("", "0", "f", "false", "n", "no", "off")  # of WANDB_DISABLED, which wandb has given up
ALIASES = {"run": "online", "dryrun": "offline"}  # as wandb itself still has them
LONGEST, LONGEST_TAG = 128, 64  # letters, as the server has them
FLUSH = 5.0  # seconds after which figures are on the disk, also if the process is killed


@dataclass
class Wandb(Tracker):
    """Shows trainings as runs of ``project``; ``timeout`` is in seconds, ``dir`` holds ``wandb/``.

    ``mode`` auto is online where a key is configured (``wandb login``, WANDB_API_KEY), otherwise
    offline. A server that does not answer turns it offline for the rest of the process.
    """

    name: ClassVar[str] = "W&B"

    project: str = "sanity"
    entity: str | None = None
    mode: str = "auto"
    dir: str = str(PROJECT)
    timeout: float = 20.0
    tags: list[str] = field(default_factory=list)
    artifacts: bool = True

    @property
    def active(self) -> bool:
        """Whether there is anything to do: WANDB_MODE=disabled is as good as tracker=none."""
        return self.mode != "disabled"

    @property
    def patience(self) -> float:
        """The network's time; writing to the disk has a little of its own."""
        return self.timeout + 2.0

    @property
    def place(self) -> str:
        """The project, and the server if it is another one than wandb's."""
        return f"{os.environ.get('WANDB_BASE_URL', '')} {self.entity or ''}/{self.project}"

    @property
    def directory(self) -> Path:
        """Where wandb puts its runs."""
        return absolute("tracker.wandb.dir", self.dir) / "wandb"

    @property
    def online(self) -> bool:
        """Whether to try the server."""
        wanted = self.mode in ("auto", "online") and not this_process.unreachable
        this_process.directory = self.directory
        return wanted and has_key()  # without one, wandb would ask for it

    def where(self, group: str | None) -> str:
        """Where the runs go, and what to do with those that stay here."""
        if self.online:
            return f"W&B: project {self.project}" + (f", group {group}" if group else "")
        why = " (no key configured)" if self.mode != "offline" and not has_key() else ""
        return (
            f"W&B: offline in {near(self.directory)}{why}; "
            "`wandb sync` uploads it, tracker=none omits it"
        )

    def validate(self) -> None:
        """Raise ConfigError for a setting that is wrong."""
        # A variable that is exported empty is as good as none, for wandb as for us.
        self.mode = ALIASES.get(self.mode, self.mode) or "auto"
        if self.mode == "auto" and os.environ.get("WANDB_DISABLED", "").lower() not in FALSE:
            self.mode = "disabled"
        self.project, self.entity = self.project or "sanity", self.entity or None
        self.dir = self.dir or str(PROJECT)
        if self.mode not in MODES:
            raise ConfigError(unknown("tracker.wandb.mode", self.mode, MODES))
        if len(self.project) > LONGEST or set(self.project) & set("/\\#?%:"):
            raise ConfigError(
                f"tracker.wandb.project={self.project}: must be a name of {LONGEST} letters at "
                "most, without any of / \\ # ? % :"
            )
        if self.timeout <= 0:
            raise ConfigError(f"tracker.wandb.timeout={self.timeout:g}: must be above 0 seconds")
        if any(not 0 < len(tag) <= LONGEST_TAG for tag in self.tags):
            raise ConfigError(
                f"tracker.wandb.tags={self.tags}: must have 1 to {LONGEST_TAG} letters each"
            )

    def subject(self, training: Training) -> str:
        """The run that it is shown as: an agent's own, where one has asked for it."""
        return _agent(training).get("WANDB_RUN_ID") or self._id(training.id)

    def is_outdated(self, note: Mapping[str, Any]) -> bool:
        """What was written offline is sent where there is a server now."""
        return self.online and note.get("online") is False

    def open(self, training: Training) -> Curve:
        """Start the training's run, or go on with it."""
        with service:
            # What an offline run stages for `wandb sync` lies beside it, not in somebody's home.
            os.environ.setdefault("WANDB_DATA_DIR", str(self.directory))
            this_process.directory = self.directory
            this_process.prepare()
            # What a broken-off attempt has left, since all of it is told again: otherwise
            # `wandb sync` would append one to the other, and show epochs twice.
            for path in self.directory.glob(f"*run-*-{self.subject(training)}"):
                shutil.rmtree(path, ignore_errors=True)
            run = self._reach(training) if self.online else None
            if run is None:
                run = self._init(training, "offline")
            return WandbCurve(run, training, self.timeout, self.artifacts)

    def _id(self, training: str) -> str:
        """The id of a training's run, which is another one in another project."""
        return f"{training}-{digest(self.place)[:4]}"

    def _reach(self, training: Training) -> Any:
        """The run on the server; None, with a warning, where that cannot be had."""
        import wandb

        try:
            run = self._init(training, "online")
        except (wandb.Error, TimeoutError, OSError) as error:
            this_process.unreachable = True
            this_process.restart()  # otherwise the id is still in use
            log.warning(
                "W&B: %s; going on offline in %s, which `wandb sync` uploads",
                short(error),
                near(self.directory),
            )
            return None
        say_once(f"W&B: {run.project_url}")
        return run

    def _init(self, training: Training, mode: Literal["online", "offline"]) -> Any:
        import wandb

        agent = _agent(training)
        tags = (*training.tags, *self.tags, *os.environ.get("WANDB_TAGS", "").split(","))
        config = dict(training.config)
        if config.get("parent"):
            config["parent"] = self._id(config["parent"])
        self.directory.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            settings=wandb.Settings(
                silent=True,
                console="off",  # run.log has it; wrapping stdout would tear progress bars
                init_timeout=self.timeout / 2,
                finish_timeout=self.timeout * 3 / 8,  # an eighth is for artifacts
                finish_timeout_raises=True,
                disable_job_creation=True,
                save_code=False,
                x_disable_meta=_tells_secrets(sys.argv),  # it holds the command line
                x_save_requirements=False,  # record.json has the versions that matter
                x_transaction_log_flush_interval=FLUSH,
                sweep_id=agent.get("WANDB_SWEEP_ID"),
            ),
            mode=mode,
            dir=str(self.directory.parent),
            entity=self.entity,
            project=self.project,
            id=self.subject(training),
            name=training.name,
            group=(training.group or "")[:LONGEST] or os.environ.get("WANDB_RUN_GROUP"),
            job_type=training.kind,
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags if tag)),
            config=config,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
        )


def _agent(training: Training) -> dict[str, str]:
    """What an agent says of its run: that is the training which the program was started for."""
    return this_process.hear_agent() if training.main else {}


def _tells_secrets(arguments: Sequence[str]) -> bool:
    keys = (text.split("=", 1)[0].lstrip("+~").rsplit(".", 1)[-1] for text in arguments)
    return any(SECRET.search(key) for key in keys)
