"""Weights & Biases: a run a training, live or offline; dashboards are in ``dashboard.py``.

What is tried with wandb 0.31 and holds: runs have an id that follows from the stage, so that a
resumed training finds its run; steps are epochs. Offline nothing can be resumed, so that a
training is told anew from its first epoch, in place of what an earlier attempt has left; online
the server says which steps it has, and only the others are sent.
"""

import logging
import netrc
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from sanity.config import PROJECT, unknown
from sanity.errors import ConfigError, one_line
from sanity.files import near
from sanity.trackers.base import Curve, Ending, Files, Problem, Tracker, Training
from sanity.trackers.training import SECRET
from sanity.trackers.wandb_log import becomes_whole

log = logging.getLogger(__name__)

MODES = ("auto", "online", "offline", "disabled")
ALIASES = {"run": "online", "dryrun": "offline"}  # as wandb itself still has them
BY_EPOCH = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("validation_loss", "validation_accuracy", "lr", "images_per_second", "seconds"),
)
EXIT_CODES = {"completed": 0, "failed": 1, "interrupted": 130}
CLOSING = 2.0  # seconds that the file of an ended run may take to be closed
FLUSH = 5.0  # seconds after which figures are on the disk, also if the process is killed
SWEEP = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")

_service = threading.RLock()
"""Starting and ending runs, one at a time: a failed start takes the whole service down with it."""


@dataclass
class _Session:
    """What this process knows of W&B, for all of its runs."""

    unreachable: bool = False
    prepared: bool = False
    said: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    agent: dict[str, str] = field(default_factory=dict)

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


session = _Session()


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
        """The project."""
        return f"{self.entity or ''}/{self.project}"

    @property
    def directory(self) -> Path:
        """Where wandb puts its runs."""
        return Path(self.dir).expanduser().absolute() / "wandb"

    @property
    def online(self) -> bool:
        """Whether to try the server."""
        wanted = self.mode == "online" or (self.mode == "auto" and has_key())
        return wanted and not session.unreachable

    def where(self, group: str | None) -> str:
        """Where the runs go, and what to do with those that stay here."""
        if self.online:
            return f"W&B: project {self.project}" + (f", group {group}" if group else "")
        why = " (no key configured)" if self.mode == "auto" else ""
        return (
            f"W&B: offline in {near(self.directory)}{why}; "
            "`wandb sync` uploads it, tracker=none omits it"
        )

    def check(self) -> None:
        """Raise ConfigError for a setting that is wrong."""
        self.mode = ALIASES.get(self.mode, self.mode)
        if self.mode not in MODES:
            raise ConfigError(unknown("tracker.wandb.mode", self.mode, MODES))
        if not self.project or set(self.project) & set("/\\#?%:"):
            raise ConfigError(
                f"tracker.wandb.project={self.project}: must be a name without any of / \\ # ? % :"
            )
        if self.timeout <= 0:
            raise ConfigError(f"tracker.wandb.timeout={self.timeout:g}: must be above 0 seconds")
        if not isinstance(self.tags, list) or not all(isinstance(tag, str) for tag in self.tags):
            raise ConfigError(f"tracker.wandb.tags={self.tags}: must be a list of texts")

    def open(self, training: Training) -> Curve:
        """Start the training's run, or go on with it."""
        with _service:
            self._prepare()
            _remove_fragments(self.directory, training.id)
            run = self._reach(training) if self.online else None
            if run is None:
                run = self._init(training, "offline")
            return WandbCurve(run, self, training)

    def _prepare(self) -> None:
        """Make wandb quiet, and keep an agent's run for the ticket alone."""
        import wandb

        # What an offline run stages for `wandb sync` lies beside it, not in somebody's home.
        os.environ.setdefault("WANDB_DATA_DIR", str(self.directory))
        for name in SWEEP:
            if name in os.environ:
                session.agent[name] = os.environ.pop(name)
        if not session.prepared:
            quiet = wandb.Settings(silent=True)
            wandb.setup(quiet)
            wandb.termsetup(quiet, session)
            session.prepared = True

    def _reach(self, training: Training) -> Any:
        """The run on the server; None, with a warning, where that cannot be had."""
        import wandb

        try:
            run = self._init(training, "online")
        except (wandb.Error, TimeoutError, OSError) as error:
            session.unreachable = True
            wandb.teardown()  # otherwise the id is still in use
            session.prepared = False
            self._prepare()
            session.problems.clear()
            log.warning(
                "W&B: %s; going on offline in %s, which `wandb sync` uploads",
                _short(error),
                near(self.directory),
            )
            return None
        session.say(f"W&B: {run.project_url}")
        return run

    def _init(self, training: Training, mode: Literal["online", "offline"]) -> Any:
        import wandb

        agent = session.agent if training.main else {}  # one run of ours is the agent's
        tags = (*training.tags, *self.tags, *os.environ.get("WANDB_TAGS", "").split(","))
        self.directory.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            settings=wandb.Settings(
                silent=True,
                console="off",  # run.log has it; wrapping stdout would tear progress bars
                init_timeout=self.timeout / 2,
                finish_timeout=self.timeout / 2,
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
            id=agent.get("WANDB_RUN_ID") or training.id,
            name=training.name,
            group=training.group or os.environ.get("WANDB_RUN_GROUP"),
            job_type=training.kind,
            tags=list(dict.fromkeys(tag for tag in tags if tag)),
            config=dict(training.config),
            resume="allow" if mode == "online" else None,
            reinit="create_new",
        )


class WandbCurve(Curve):
    """One run of W&B."""

    def __init__(self, run: Any, tracker: Wandb, training: Training) -> None:
        self._run, self._tracker = run, tracker
        self._next: int = run.starting_step
        self._last = -1
        run.define_metric("epoch", hidden=True)
        for name in BY_EPOCH:
            run.define_metric(name, step_metric="epoch", step_sync=False)
        run.define_metric("layer/density", step_metric="layer/index", step_sync=False)
        self._trouble: Exception | None = None
        self._with_limit(lambda: self._log_artifacts(training.inputs, used=("dense",)))

    def add(self, figures: Mapping[str, Any]) -> None:
        """Log an epoch; its number is the step."""
        self._last = figures["epoch"]
        self._log(self._last, figures)

    def finish(self, ending: Ending) -> None:
        """Log the summary, the layers and what is left of the training, and end the run."""
        if ending.status == "completed":
            self._try(lambda: self._log_final(ending))
            self._with_limit(lambda: self._log_chart_and_artifacts(ending))
        elif ending.status == "interrupted" and not self._run.offline:
            self._try(self._run.mark_preempting)
        directory = Path(self._run.settings.sync_dir)
        with _service:
            try:
                self._run.finish(exit_code=EXIT_CODES[ending.status])
            except TimeoutError:
                session.unreachable = True
                self._trouble = TimeoutError("the server does not answer")
            except Exception as error:  # a full disk, or its own process gone
                self._trouble = self._trouble or error
            problems = list(session.problems)
            session.problems.clear()
        file = directory / f"run-{self._run.id}.wandb"
        if self._run.offline:
            self._check_file(file)
        elif self._trouble or problems:
            becomes_whole(file, CLOSING)  # before the program ends, and wandb's process with it
            why = _first_line(str(self._trouble or problems[0]))
            raise Problem(
                f"{why}; `wandb sync --include-online {near(directory)}` uploads what is missing"
            )

    def _try(self, what: Callable[[], Any]) -> None:
        """Whatever fails, the run is still to be ended; its trouble is told then."""
        try:
            what()
        except Exception as error:  # wandb's errors are of many kinds
            self._trouble = self._trouble or error

    def _check_file(self, file: Path) -> None:
        if becomes_whole(file, CLOSING) and self._trouble is None:
            return
        why = "is the disk full?" if self._trouble is None else _short(self._trouble)
        raise Problem(
            f"{near(file.parent)} could not be written to its end ({why}); "
            "`python -m sanity.trackers send` with the run's directory shows it later"
        )

    def _log(self, step: int, row: Mapping[str, Any]) -> None:
        if step >= self._next:  # the server has the others
            self._run.log(dict(row), step=step, commit=True)

    def _log_final(self, ending: Ending) -> None:
        """The final figures as a row too, so that plots may take them for axes; the layers."""
        self._run.summary.update(dict(ending.summary))
        first = self._last + 1
        rows = [dict(ending.summary)]
        rows += [
            {"layer/index": i, "layer/density": row[-1]} for i, row in enumerate(ending.layers)
        ]
        for step, row in enumerate(rows, start=first):
            self._log(step, row)
        self._last += len(rows)

    def _log_chart(self, layers: Sequence[tuple[str, int, int, float]]) -> None:
        """The layers as a table, with their densities drawn."""
        import wandb

        step = self._last + 1
        if not layers or step < self._next:
            return
        columns: list[str | int] = ["layer", "total", "kept", "density"]
        table = wandb.Table(columns=columns, data=[list(layer) for layer in layers])
        title = "Density (kept / total) of each layer"
        chart = wandb.plot.bar(table, "layer", "density", title=title)
        self._log(step, {"layers": table, "layer_densities": chart})

    def _with_limit(self, what: Callable[[], Any]) -> None:
        """Do what needs the server; one that does not answer is given a part of the timeout.

        wandb itself has no limit for tables and artifacts, and asks for half a minute and more.
        """
        asking = threading.Thread(target=self._try, args=(what,), daemon=True)
        asking.start()
        asking.join(self._tracker.timeout / 4)
        if asking.is_alive():
            self._trouble = self._trouble or TimeoutError("the server does not answer")

    def _log_chart_and_artifacts(self, ending: Ending) -> None:
        self._log_chart(ending.layers)
        self._log_artifacts(ending.files, used=())

    def _log_artifacts(self, files: Files, used: Sequence[str]) -> None:
        """Upload files, named by their keys; ``used`` are those that the run is made from."""
        import wandb

        if self._run.offline or not self._tracker.artifacts:
            return
        for kind, (key, path) in files.items():
            if not path.exists():  # the store has lost it since, or is elsewhere
                continue
            artifact = wandb.Artifact(f"{kind}-{key}", type=kind)
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
            upload = self._run.use_artifact if kind in used else self._run.log_artifact
            upload(artifact)


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


def _remove_fragments(directory: Path, identifier: str) -> None:
    """Remove what an attempt that was broken off has left, since all of it is told again.

    Otherwise `wandb sync` would append one to the other, and show epochs twice.
    """
    for path in directory.glob(f"*run-*-{identifier}"):
        shutil.rmtree(path, ignore_errors=True)


def _tells_secrets(arguments: Sequence[str]) -> bool:
    keys = (text.split("=", 1)[0].lstrip("+~").rsplit(".", 1)[-1] for text in arguments)
    return any(SECRET.search(key) for key in keys)


def _first_line(text: str) -> str:
    return text.strip().removeprefix("wandb: ").removeprefix("WARNING ").splitlines()[0]


def _short(error: Exception) -> str:
    """The first and most telling line of wandb's errors."""
    text = one_line(error) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
