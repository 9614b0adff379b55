"""Rewind to initialisation: the ticket starts where the dense network started."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.rewinds.base import Rewind, Source


@dataclass
class Init(Rewind):
    """Initial weights and the whole schedule (Frankle & Carbin 2019)."""

    cites = ("frankle2019lottery",)
    source: ClassVar[Source] = "init"
    start = "from init"

    def start_epoch(self, epochs: int) -> int:
        """The first."""
        return 0
