"""What runs are about: contexts, methods at a sparsity, and their arms."""

from collections.abc import Mapping
from dataclasses import dataclass

from sanity.report.data.runs import Run, kind
from sanity.report.output import wording


@dataclass(frozen=True)
class Arm:
    """Runs that differ in nothing but the seed."""

    check: str
    label: str
    runs: Mapping[int, Run]

    @property
    def accuracies(self) -> dict[int, float]:
        """Last epoch's test accuracy in percent, by seed, of the tickets that were trained."""
        return {seed: run.accuracy for seed, run in self.runs.items() if run.accuracy is not None}

    @property
    def best(self) -> dict[int, float]:
        """The best epoch's test accuracy, by seed."""
        name = "best_test_accuracy"
        return {seed: run.metrics[name] for seed, run in self.runs.items() if name in run.metrics}

    @property
    def any_run(self) -> Run:
        """One of its runs, for what they all share."""
        return next(iter(self.runs.values()))


@dataclass(frozen=True)
class Context:
    """A data set, a network and a recipe; ``dense`` are its dense networks' accuracies by seed."""

    dataset: str
    arch: str
    label: str
    dense: Mapping[int, float]


@dataclass(frozen=True)
class Cell:
    """A method in a context at one sparsity: ``arms`` by label, as found and under each check.

    ``method`` names it as short as these runs allow, ``detail`` with ratio and rewind.
    ``sparsity`` is that which was asked for; where the ratio has missed it by more than rounding,
    ``missed`` is what came of it.
    """

    context: Context
    choices: Mapping[str, str]
    method: str
    detail: str
    sparsity: float | None
    arms: Mapping[str, Arm]
    missed: float | None = None

    @property
    def original(self) -> Arm:
        """The ticket as it was found; an arm without runs where there is none."""
        found = (arm for arm in self.arms.values() if arm.check == wording.ORIGINAL)
        return next(found, Arm(wording.ORIGINAL, "", {}))

    @property
    def accuracies(self) -> dict[int, float]:
        """Those of the ticket as it was found."""
        return self.original.accuracies

    @property
    def pruned(self) -> float:
        """The share of weights that its tickets really lack."""
        return (self.sparsity or 0.0) if self.missed is None else self.missed

    @property
    def size(self) -> str:
        """Its sparsity in words, and what the ratio made of it."""
        found = "" if self.missed is None else f" ({self.missed:.2%} pruned)"
        return f"{wording.percent(self.sparsity)}{found}"

    @property
    def label(self) -> str:
        """The method and its sparsity."""
        return f"{self.method} {self.size}".strip()

    @property
    def kinds(self) -> dict[str, str]:
        """What its choices are, whatever they are called."""
        config = self.any_run.config
        return {group: kind(config, group, choice) for group, choice in self.choices.items()}

    @property
    def seeds(self) -> set[int]:
        """Those of all its arms."""
        return {seed for arm in self.arms.values() for seed in arm.runs}

    @property
    def any_run(self) -> Run:
        """One of its runs, for what they all share."""
        return next(iter(self.arms.values())).any_run
