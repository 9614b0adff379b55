"""Sequential designs side by side: how many seeds each takes until a question is decided.

    python tests/stats/designs.py

One question of four, each test at a quarter of the error and nothing shared, so that designs alone
differ. All are valid; 6,000 experiments that are the same for every design.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sanity.stats import looks

Array = NDArray[Any]
Decides = Callable[[Array, Array, int, int], tuple[Array, Array]]
"""Of means, their standard errors, a look and its seeds: which differ, which are within 1."""

MOST = 60
LOOKS = looks.up_to(MOST)
ERROR = 0.05 / 4
SHARES = looks.SHARE * (1 - looks.SHARE) ** np.arange(len(LOOKS))
PARTS = np.array(LOOKS) / MOST


def of_levels(different: Array, equivalent: Array) -> Decides:
    """t-tests at these one-sided levels, look by look."""

    def decides(mean: Array, error: Array, look: int, seeds: int) -> tuple[Array, Array]:
        outer, inner = (
            stats.t.isf(levels[look], seeds - 1) * error for levels in (different, equivalent)
        )
        return np.abs(mean) > outer, np.abs(mean) + inner < 1

    return decides


def exact(shares: Callable[[float], Array]) -> Decides:
    """The levels that spend these errors, by the joint distribution of t over the looks."""
    found = [
        np.concatenate(looks.levels(LOOKS, list(shares(error)[:, None])))
        for error in (ERROR / 2, ERROR)
    ]
    return of_levels(*found)


def mixture(width: float) -> Decides:
    """Confidence sequences of a mean of unknown spread: t-mixtures (Lai 1976).

    The effect has a normal prior of ``width`` spreads.
    """

    def decides(mean: Array, error: Array, look: int, seeds: int) -> tuple[Array, Array]:
        weight = 1 + seeds * width**2
        ratio = np.exp((np.log(1 / ERROR) + np.log(weight) / 2) * 2 / seeds)
        reach = np.inf if ratio >= weight else (ratio - 1) / (1 - ratio / weight)
        radius = np.sqrt(reach * (seeds - 1)) * error
        return np.abs(mean) > radius, np.abs(mean) + radius < 1

    return decides


def pocock(error: float) -> Array:
    return np.diff(error * np.log(1 + (np.e - 1) * PARTS), prepend=0.0)


def fleming(error: float) -> Array:
    spent = 2 * stats.norm.sf(stats.norm.isf(error / 2) / np.sqrt(PARTS))
    return np.diff(spent, prepend=0.0)


def designs() -> dict[str, Decides]:
    return {
        "a fifth of what is left": exact(lambda error: error * SHARES),
        "the same, plain levels (Bonferroni)": of_levels(ERROR / 2 * SHARES, ERROR * SHARES),
        "Pocock's type, last look at 60": exact(pocock),
        "O'Brien and Fleming's type, last look at 60": exact(fleming),
        "confidence sequence, prior 0.7": mixture(0.7),
        "confidence sequence, prior 1.5": mixture(1.5),
    }


def seeds_of(design: Decides, effect: float, spread: float, repetitions: int = 6000) -> float:
    """Seeds until a verdict, on average; all where there is none."""
    draws = np.random.default_rng(2).standard_normal((repetitions, MOST)) * spread + effect
    found = np.full(repetitions, MOST)
    for look, seeds in reversed(list(enumerate(LOOKS))):
        some = draws[:, :seeds]
        error = some.std(1, ddof=1) / np.sqrt(seeds)
        different, equivalent = design(some.mean(1), error, look, seeds)
        found[different | equivalent] = seeds
    return float(found.mean())


def main() -> None:
    """Print the table: spread 1, effects in margins."""
    effects = (0.0, 0.5, 1.0, 2.0)
    print("| design |", " | ".join(f"{effect:g}" for effect in effects), "|\n|---|---|---|---|---|")
    for name, design in designs().items():
        print(
            f"| {name} |", " | ".join(f"{seeds_of(design, one, 1.0):.1f}" for one in effects), "|"
        )


if __name__ == "__main__":
    main()
