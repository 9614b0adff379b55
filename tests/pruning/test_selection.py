import time
from dataclasses import dataclass

import pytest
import torch
from pruning_cases import INPUT_SHAPE, tiny_network
from torch import Tensor

from sanity.core.errors import ConfigError, TrainingError
from sanity.networks.blueprint import blueprint
from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.pruners.magnitude import Magnitude
from sanity.pruners.random import Random
from sanity.pruners.synflow import SynFlow
from sanity.pruning import masks
from sanity.pruning.selection import Ties, find_mask, largest, select
from sanity.ratios.base import Allocation


def flat(mask: masks.Mask, name: str) -> list[bool]:
    return mask[name].flatten().tolist()


ALIVE = {"a": torch.ones(2, 2, dtype=torch.bool), "b": torch.ones(3, dtype=torch.bool)}
SCORES = {"a": torch.tensor([[1.0, 9.0], [3.0, 7.0]]), "b": torch.tensor([8.0, 2.0, 4.0])}


def test_layers_without_a_count_compete_for_the_pool() -> None:
    mask, _ = select(SCORES, Allocation({"a": None, "b": None}, pooled=4), ALIVE)
    assert flat(mask, "a") == [False, True, False, True]
    assert flat(mask, "b") == [True, False, True]


def test_counted_layers_keep_their_own_largest() -> None:
    mask, _ = select(SCORES, Allocation({"a": 3, "b": 1}), ALIVE)
    assert flat(mask, "a") == [False, True, True, True]
    assert flat(mask, "b") == [True, False, False]


def test_pool_and_counts_mix() -> None:
    mask, _ = select(SCORES, Allocation({"a": None, "b": 0}, pooled=1), ALIVE)
    assert flat(mask, "a") == [False, True, False, False]
    assert flat(mask, "b") == [False, False, False]


def test_only_weights_that_are_alive_are_candidates() -> None:
    alive = {"a": torch.tensor([[True, False], [True, True]]), "b": ALIVE["b"]}
    mask, _ = select(SCORES, Allocation({"a": None, "b": None}, pooled=2), alive)
    assert flat(mask, "a") == [False, False, False, True]
    assert flat(mask, "b") == [True, False, False]


def test_of_equal_scores_the_earlier_layer_and_position_win() -> None:
    scores = {"a": torch.zeros(2, 2), "b": torch.tensor([0.0, 5.0, 0.0])}
    mask, _ = select(scores, Allocation({"a": None, "b": None}, pooled=3), ALIVE)
    assert flat(mask, "a") == [True, True, False, False]
    assert flat(mask, "b") == [False, True, False]


def test_negative_scores_and_signed_zeros_are_ordered() -> None:
    values = torch.tensor([-3.0, -0.0, 0.0, -1.0, -2.0])
    assert largest(values, 1)[0].tolist() == [False, True, False, False, False]
    assert largest(values, 3)[0].tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("levels", [3, 1000])
def test_keeps_what_a_stable_sort_keeps(dtype: torch.dtype, levels: int) -> None:
    random = torch.Generator().manual_seed(levels)
    values = torch.randint(-levels, levels, (500,), generator=random).to(dtype)
    order = values.argsort(descending=True, stable=True)
    alive = {"a": torch.ones(500, dtype=torch.bool)}
    for count in (0, 1, 17, 250, 499, 500):
        expected = torch.zeros(500, dtype=torch.bool)
        expected[order[:count]] = True
        mask, _ = select({"a": values}, Allocation({"a": count}), alive)
        assert torch.equal(mask["a"], expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "ascending", "descending", "zeros", "binary"])
def test_twenty_million_weights_take_seconds_in_any_order(kind: str) -> None:
    count = 20_024_000  # VGG19
    values = {
        "random": lambda: torch.rand(count, generator=torch.Generator().manual_seed(0)),
        "ascending": lambda: torch.arange(count).float(),
        "descending": lambda: torch.arange(count, 0, -1).float(),
        "zeros": lambda: torch.zeros(count),
        "binary": lambda: (torch.arange(count) % 50 == 0).float(),
    }[kind]()
    start = time.process_time()
    keep, _ = largest(values, count // 50)
    assert int(keep.sum()) == count // 50
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ({"a": SCORES["a"]}, ConfigError, "layer b no scores"),
        ({**SCORES, "c": torch.ones(1)}, ConfigError, "scores c, which is no prunable layer"),
        ({**SCORES, "b": torch.ones(2)}, ConfigError, r"layer b in the shape \(2,\).*\(3,\)"),
        ({**SCORES, "b": SCORES["b"] / 0}, TrainingError, "3 of 3 scores of layer b"),
        (
            {**SCORES, "a": torch.tensor([[1.0, float("nan")], [0.0, 0.0]])},
            TrainingError,
            "1 of 4 scores of layer a are NaN or infinite",
        ),
    ],
)
def test_unusable_scores_are_named(
    scores: dict[str, Tensor], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        select(scores, Allocation({"a": 1, "b": 1}), ALIVE)


@pytest.mark.parametrize(
    ("allocation", "message"),
    [
        (Allocation({"a": 5, "b": 1}), "layer a to keep 5 weights, but only 4 are left"),
        (Allocation({"a": None, "b": None}, 8), "the 2 pooled layers to keep 8.*only 7"),
    ],
)
def test_an_allocation_beyond_what_is_alive_is_refused(
    allocation: Allocation, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        select(SCORES, allocation, ALIVE)


@dataclass
class Recorder(Pruner):
    """Scores by magnitude and remembers what it was shown."""

    iterations: int = 4

    def __post_init__(self) -> None:
        self.seen: list[Scoring] = []

    def score(self, scoring: Scoring) -> Scores:
        self.seen.append(scoring)
        scores = {name: weight.detach().abs().clone() for name, weight in scoring.weights.items()}
        for weight in scoring.weights.values():
            weight.data.fill_(7.0)  # the network is a private copy
        return scores


def find_both(pruner: Pruner, allocation: Allocation, **how: object) -> tuple[masks.Mask, Ties]:
    network = tiny_network()
    return find_mask(
        pruner,
        network,
        blueprint(network, INPUT_SHAPE),
        allocation,
        input_shape=INPUT_SHAPE,
        generator=torch.Generator().manual_seed(0),
        **how,  # type: ignore[arg-type]
    )


def find(pruner: Pruner, allocation: Allocation, **how: object) -> masks.Mask:
    return find_both(pruner, allocation, **how)[0]


OUTLINE = blueprint(tiny_network(), INPUT_SHAPE)
POOLED = Allocation(dict.fromkeys(OUTLINE.names), pooled=20)


def test_every_step_scores_the_network_under_the_mask_before() -> None:
    pruner, network = Recorder(), tiny_network()
    steps: list[tuple[int, int]] = []
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mask, _ = find_mask(
        pruner,
        network,
        OUTLINE,
        POOLED,
        input_shape=INPUT_SHAPE,
        generator=torch.Generator(),
        on_step=lambda done, total: steps.append((done, total)),
    )
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    shown = [sum(masks.kept(scoring.mask).values()) for scoring in pruner.seen]
    expected = [OUTLINE.total, *(POOLED.at(step / 4, OUTLINE).pooled for step in (1, 2, 3))]
    assert shown == expected
    assert shown == sorted(set(shown), reverse=True)
    assert sum(masks.kept(mask).values()) == 20
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert not any(scoring.network.training for scoring in pruner.seen)


def test_magnitudes_in_steps_end_where_one_step_ends() -> None:
    at_once = find(Magnitude(), POOLED)
    in_steps = find(Recorder(), POOLED)
    assert all(torch.equal(at_once[name], in_steps[name]) for name in at_once)


def test_rounds_go_on_from_the_mask_before_and_end_at_the_allocation() -> None:
    mask, counts = None, [OUTLINE.total]
    for turn in (1, 2, 3):
        new = find(Magnitude(), POOLED, start=mask, progress=((turn - 1) / 3, turn / 3))
        assert mask is None or all(not (new[name] & ~mask[name]).any() for name in new)
        mask = new
        counts.append(sum(masks.kept(mask).values()))
    assert counts == sorted(set(counts), reverse=True)
    assert counts[1] == POOLED.at(1 / 3, OUTLINE).pooled
    assert counts[-1] == 20


def test_a_perturbation_of_scores_decides_what_is_kept() -> None:
    def negate(scores: Scores) -> Scores:
        return {name: -score for name, score in scores.items()}

    best = find(Magnitude(), POOLED)
    worst = find(Magnitude(), POOLED, perturb=negate)
    assert sum(masks.kept(worst).values()) == 20
    assert not any((best[name] & worst[name]).any() for name in best)


def test_no_iterations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"pruner\.iterations=0"):
        find(Recorder(iterations=0), POOLED)


def ties_of(scores: Scores, allocation: Allocation, steps: int = 1) -> Ties:
    """The ties of a search in the tiny network whose pruner always gives these scores."""

    class Fixed(Pruner):
        iterations = steps

        def score(self, scoring: Scoring) -> Scores:
            return scores

    return find_both(Fixed(), allocation)[1]


def steps(levels: int) -> Scores:
    """Scores of so many levels, each as often as the others, all through the network."""
    return {
        layer.name: (torch.arange(layer.total) % levels).float().view(layer.shape)
        for layer in OUTLINE.layers
    }


def test_ties_are_the_weights_whose_order_decides() -> None:
    scores = steps(2)
    ones = sum(int(score.sum()) for score in scores.values())
    pool = dict.fromkeys(OUTLINE.names)
    inside = ties_of(scores, Allocation(pool, pooled=ones - 30))
    assert (inside.tied, inside.arbitrary) == (ones, 30), "30 others would do as well"
    few = ties_of(scores, Allocation(pool, pooled=7))
    assert (few.tied, few.arbitrary) == (ones, 7), "any seven of them"
    exact = ties_of(scores, Allocation(pool, pooled=ones))
    assert (exact.tied, exact.arbitrary) == (0, 0), "a mask of ones and zeros is no choice"


def test_ties_are_counted_layer_by_layer_and_step_by_step() -> None:
    counts = {layer.name: layer.total // 4 for layer in OUTLINE.layers}
    scores = steps(2)
    tied = sum(int(score.sum()) for score in scores.values())
    ties = ties_of(scores, Allocation(counts))
    assert ties.choices == ties.told_apart == len(counts)
    assert ties.tied == tied
    ones = {name: int(score.sum()) for name, score in scores.items()}
    assert ties.arbitrary == sum(min(n, ones[name] - n) for name, n in counts.items())
    several = ties_of(scores, Allocation(counts), steps=3)
    assert several.tied <= OUTLINE.total, "no more than there are"
    assert several.arbitrary > 0


def test_what_is_kept_whole_or_not_at_all_leaves_no_choice() -> None:
    zeros = {layer.name: torch.zeros(layer.shape) for layer in OUTLINE.layers}
    whole = Allocation({layer.name: layer.total for layer in OUTLINE.layers})
    assert ties_of(zeros, whole) == Ties()
    assert ties_of(zeros, Allocation(dict.fromkeys(OUTLINE.names, 0))) == Ties()


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_scores_that_tell_no_weights_apart_are_refused(value: float, steps: int) -> None:
    same = {layer.name: torch.full(layer.shape, value) for layer in OUTLINE.layers}
    with pytest.raises(TrainingError, match=f"all scores are {value:g}, so that only the order"):
        ties_of(same, POOLED, steps)


def test_neither_do_scores_that_are_equal_within_each_layer_of_a_layer_wise_ratio() -> None:
    scores = {
        layer.name: torch.full(layer.shape, float(number))
        for number, layer in enumerate(OUTLINE.layers)
    }
    half = Allocation({layer.name: layer.total // 2 for layer in OUTLINE.layers})
    with pytest.raises(TrainingError, match="equal within every layer"):
        ties_of(scores, half)
    assert ties_of(scores, POOLED).told_apart == 1, "among layers they do differ"


def test_the_pruners_themselves_meet_no_ties() -> None:
    for pruner in (Magnitude(), Random(), SynFlow(iterations=20)):
        _, ties = find_both(pruner, POOLED)
        assert ties.arbitrary == 0, pruner
