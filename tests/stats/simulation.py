"""Many repetitions of experiments that grow until they are decided: errors and seeds.

    python tests/stats/simulation.py        # the table of sanity/report/README.md, in minutes

Families of checks share the ticket as found, so that their differences hang together as those of
real arms do. ``test_error_rates.py`` compares what is computed here in bulk with the verdicts of
the package.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sanity.stats import looks

Array = NDArray[np.float64]

IMAGE = 100 / 360  # points: one test image of digits
ALPHA = 0.05


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return random.standard_normal(shape)


def skewed(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Accuracies near 100%: a long tail below."""
    return 1 - random.exponential(1.0, shape)


def heavy(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Now and then a seed that fails: t with 5 degrees of freedom."""
    return random.standard_t(5, shape) / np.sqrt(5 / 3)


@dataclass(frozen=True)
class Outcome:
    """Shares of repetitions with any wrong verdict in the family, and means over its questions.

    ``seeds`` are those until a verdict, all where there is none; ``decided`` is the share of
    questions that have one.
    """

    false_depends: float
    false_independent: float
    seeds: float
    decided: float


def grow(
    effects: Sequence[float],
    spread: float,
    *,
    most: int = 60,
    repetitions: int = 4000,
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array] = normal,
    image: float = 0.0,
    chance: int = 0,
) -> Outcome:
    """A family with these true effects, in margins, and this spread of differences, in margins.

    ``image`` rounds accuracies, in margins.
    """
    differences = _differences(effects, spread, most, repetitions, draw, image, chance)
    verdicts, seeds = judge(differences)
    return _outcome(verdicts, seeds, effects)


def judge(differences: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Verdicts (0: none, 1: does not depend, 2: depends) and the seeds that each took.

    ``differences``: repetitions x questions x seeds, in margins.
    """
    shape, most = differences.shape[:2], differences.shape[2]
    least = np.ones((4, *shape))
    verdicts, seeds = np.zeros(shape, int), np.full(shape, most)
    for number, count in enumerate(looks.up_to(most)):
        one_sided = _one_sided(differences[..., :count])
        least = np.minimum(least, looks.error(number, one_sided))
        _decide(verdicts, seeds, least, count)
    return verdicts, seeds


def replicated(effect: float, spread: float, replicates: int, dense: float) -> tuple[float, float]:
    """Seeds and cost of a question with several changed tickets a seed, averaged, beside one.

    All share the ticket as found, whose share of the variance stays. The cost is in trainings of a
    ticket; ``dense`` is that of the network that all of a seed come from.
    """
    narrower = spread * np.sqrt((1 + 1 / replicates) / 2)
    seeds = grow([effect] * 4, narrower).seeds
    return seeds, seeds * (dense + 1 + replicates)


def fix(
    effects: Sequence[float], spread: float, count: int, *, repetitions: int = 4000, chance: int = 1
) -> Outcome:
    """The same with a number of seeds that is fixed beforehand."""
    differences = _differences(effects, spread, count, repetitions, normal, 0.0, chance)
    shape = differences.shape[:2]
    verdicts, seeds = np.zeros(shape, int), np.full(shape, count)
    _decide(verdicts, seeds, _one_sided(differences), count)
    return _outcome(verdicts, seeds, effects)


def fixed_seeds(effects: Sequence[float], spread: float, decided: float) -> int:
    """The fewest fixed seeds that decide as many questions."""
    enough = (
        n for n in range(2, 400) if fix(effects, spread, n, repetitions=1500).decided >= decided
    )
    return next(enough, 400)


def _differences(
    effects: Sequence[float],
    spread: float,
    most: int,
    repetitions: int,
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array],
    image: float,
    chance: int,
) -> Array:
    """Repetitions x questions x seeds; the arms' own spread is that of differences by sqrt(2)."""
    random = np.random.default_rng(chance)
    own = spread / np.sqrt(2)
    original = own * draw(random, (repetitions, 1, most))
    changed = own * draw(random, (repetitions, len(effects), most)) + np.array(effects)[:, None]
    if image:
        original, changed = (np.round(arm / image) * image for arm in (original, changed))
    return changed - original


def _one_sided(differences: Array) -> Array:
    """P-values of: at most 0, at least 0, at most -1, at least 1 margin; 1 without any spread."""
    count = differences.shape[-1]
    mean, std = differences.mean(-1), differences.std(-1, ddof=1)
    error = np.where(std > 1e-9, std, np.inf) / np.sqrt(count)
    distances = np.stack([mean, -mean, mean + 1, 1 - mean])
    return np.where(std > 1e-9, stats.t.sf(distances / error, count - 1), 1.0)


def _decide(verdicts: NDArray[np.int64], seeds: NDArray[np.int64], p: Array, count: int) -> None:
    """Holm over each family; 1: does not depend, 2: depends; what is decided stays."""
    different = _holm(np.minimum(1.0, 2 * np.minimum(p[0], p[1]))) <= ALPHA
    equivalent = _holm(np.maximum(p[2], p[3])) <= ALPHA
    fresh = (verdicts == 0) & (different | equivalent)
    verdicts[fresh] = np.where(equivalent, 1, 2)[fresh]
    seeds[fresh] = count


def _holm(p: Array) -> Array:
    order = np.argsort(p, axis=1)
    steps = np.take_along_axis(p, order, 1) * np.arange(p.shape[1], 0, -1)
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, np.maximum.accumulate(steps, axis=1), 1)
    return corrected


def _outcome(
    verdicts: NDArray[np.int64], seeds: NDArray[np.int64], effects: Sequence[float]
) -> Outcome:
    true = np.abs(np.array(effects))
    return Outcome(
        false_depends=float(((verdicts == 2) & (true == 0)).any(1).mean()),
        false_independent=float(((verdicts == 1) & (true >= 1)).any(1).mean()),
        seeds=float(seeds.mean()),
        decided=float((verdicts > 0).mean()),
    )


def main() -> None:
    """Print the table."""
    print(
        "| questions | true effect | spread | false *depends* | false *does not depend* | ", end=""
    )
    print("decided | seeds | fixed design |\n|---|---|---|---|---|---|---|---|")
    for family, spread in itertools.product((1, 4, 20), (0.5, 1.0, 1.5)):
        for effect in (0.0, 0.5, 1.0, 2.0):
            effects = [effect] * family
            found = grow(effects, spread, repetitions=20_000 if family < 20 else 5000)
            fixed = fixed_seeds(effects, spread, min(found.decided, 0.995))
            wrong = [f"{found.false_depends:.1%}" if effect == 0 else ""]
            wrong += [f"{found.false_independent:.1%}" if effect >= 1 else ""]
            figures = (f"{found.decided:.0%}", f"{found.seeds:.1f}", str(fixed))
            print(
                "|",
                " | ".join([str(family), f"{effect:g}", f"{spread:g}", *wrong, *figures]),
                "|",
                flush=True,
            )


def _replicates() -> None:
    """Print what replicates cost."""
    print("\n| dense network | true effect | 1 | 2 | 4 replicates |\n|---|---|---|---|---|")
    for dense, effect in itertools.product((0.0, 1.0), (0.0, 0.5, 1.0, 2.0)):
        found = [replicated(effect, 1.0, number, dense) for number in (1, 2, 4)]
        figures = [f"{cost:.0f} ({seeds:.1f} seeds)" for seeds, cost in found]
        print("|", " | ".join([f"{dense:g}", f"{effect:g}", *figures]), "|", flush=True)


if __name__ == "__main__":
    main()
    _replicates()
