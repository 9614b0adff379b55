"""A rewind says which weights a ticket starts from and where in the schedule it goes on."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from sanity.core.option import Option

Source = Literal["init", "epoch", "final"]


class Rewind(Option, ABC):
    """``source`` names the weights: at initialisation, after some epochs, or after training.

    ``start`` is what reports call it.
    """

    source: ClassVar[Source]
    start: ClassVar[str] = ""

    @abstractmethod
    def start_epoch(self, epochs: int) -> int:
        """The epoch of a schedule of ``epochs`` epochs at which the ticket's training starts."""

    def validate(self, epochs: int) -> None:
        """Raise ConfigError where this rewind does not fit a schedule of ``epochs`` epochs."""
        return
