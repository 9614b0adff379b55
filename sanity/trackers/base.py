"""What a tracker is: it shows trained stages, each as a curve, from first epoch to last."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

Files = Mapping[str, tuple[str, Path]]
"""What the store has and may be uploaded: by kind (dense, mask, ticket) the key and the file."""


@dataclass(frozen=True)
class Training:
    """A trained stage of a run, as trackers show it: who it is, before anything has happened.

    ``id`` is the same whenever the same stage is trained or told of in the same ``group`` (the
    sweep, if any), which is how a resumed training finds its curve again. ``key`` is its key in
    the store, ``config`` holds JSON values, ``inputs`` what it was made from (dense, mask).
    ``main``: it is what the run was started for.
    """

    id: str
    stage: str
    key: str
    kind: Literal["dense", "ticket"]
    name: str
    group: str | None
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    inputs: Files
    main: bool


@dataclass(frozen=True)
class Ending:
    """How a training ended.

    ``summary`` has its final figures, flat; ``layers`` a row (layer, total, kept, density) for
    each prunable layer of a ticket, and ``files`` what it has left (dense or ticket).
    """

    status: Literal["completed", "failed", "interrupted"]
    summary: Mapping[str, float]
    layers: tuple[tuple[str, int, int, float], ...] = ()
    files: Files = field(default_factory=dict)


class Problem(Exception):  # noqa: N818 - the run has none
    """Something could not be shown; its text says what, and how to have it later."""


class Curve(ABC):
    """One training in a tracker; used by one thread."""

    @abstractmethod
    def add(self, figures: Mapping[str, Any]) -> None:
        """Show the figures of an epoch, those of a line of ``metrics.jsonl``.

        Epochs come in order, each once; of a resumed training from the first one on.
        """

    @abstractmethod
    def finish(self, ending: Ending) -> None:
        """Show how it ended; raises Problem where some of it will be missing."""

    def note(self) -> dict[str, Any]:
        """What to remember (JSON) of how it was shown, for :meth:`Tracker.is_outdated`."""
        return {}


class Tracker(ABC):
    """Where trainings are shown. It may fail in any way: the run goes on, with one warning.

    :meth:`open` and its curves are used in a thread of their own.
    """

    name: ClassVar[str]
    """What the warnings call it."""

    @property
    def active(self) -> bool:
        """Whether it shows anything at all."""
        return True

    @property
    def patience(self) -> float:
        """Seconds for which it may hold up the end of a program."""
        return 10.0

    @property
    @abstractmethod
    def place(self) -> str:
        """What distinguishes the places it can show things in, such as a project."""

    def subject(self, training: Training) -> str:
        """What is shown once: the training, unless somebody asks for it under another name."""
        return training.id

    def is_outdated(self, note: Mapping[str, Any]) -> bool:
        """Whether what was shown, with this ``note``, is to be shown again."""
        return False

    @abstractmethod
    def where(self, group: str | None) -> str:
        """One line for a person: where to look, for the runs of a sweep or for a single one."""

    @abstractmethod
    def validate(self) -> None:
        """Raise ConfigError for a setting that is wrong, or a package that is missing."""

    @abstractmethod
    def open(self, training: Training) -> Curve:
        """Start a curve; whatever an earlier attempt at it has left is replaced or gone on with."""
