"""Rounds of pruning and training: iterative pruners have several, one-shot pruners one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """The ``number``-th of ``total`` rounds of pruning and training."""

    number: int
    total: int

    @property
    def last(self) -> bool:
        return self.number == self.total

    @property
    def progress(self) -> tuple[float, float]:
        """The stretch of the way from dense to the final sparsity that this round covers."""
        return (self.number - 1) / self.total, self.number / self.total

    def stream(self, name: str) -> tuple[str | int, ...]:
        """A random stream of this round; one-shot pruning's has no number."""
        return (name,) if self.total == 1 else (name, self.number)

    def name(self, stage: str) -> str:
        """The stage's name in the record: plain in the last round, numbered before it."""
        return stage if self.last else f"{stage}_{self.number}"


ONCE = Round(1, 1)
