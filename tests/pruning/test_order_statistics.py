from fractions import Fraction

import pytest

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint, Layer
from sanity.pruning.order_statistics import Levelled, levelled, spill
from sanity.ratios.ascend import Ascend
from sanity.ratios.base import Budget, kept_share
from sanity.ratios.cubic import Cubic
from sanity.ratios.linear_decay import LinearDecay
from sanity.ratios.smart import Smart
from sanity.ratios.uniform import Uniform


def outline(shortcuts: bool = True) -> Blueprint:
    """Three convolutions of 1,000 weights and a linear layer of 100."""
    convolutions = [Layer(f"conv{i}", "conv", (10, 100, 1, 1)) for i in range(3)]
    return Blueprint((*convolutions, Layer("fc", "linear", (10, 10))), shortcuts, ("fc",))


def counts(ratio: Levelled, shortcuts: bool = True) -> list[int | None]:
    blueprint = outline(shortcuts)
    budget = Budget(kept_share(blueprint.total, ratio.sparsity))
    return list(ratio.allocate(blueprint, budget).kept.values())


@pytest.mark.parametrize(
    ("ratio", "shortcuts", "levels"),
    [
        (Smart, True, (20, 12, 6)),
        (LinearDecay, True, (4, 3, 2)),
        (Cubic, True, (64, 27, 8)),
        (Ascend, True, (2, 6, 12)),
        (Uniform, True, (1, 1, 1)),
        (Smart, False, (20, 3, Fraction(6, 9))),
        (LinearDecay, False, (4, Fraction(3, 4), Fraction(2, 9))),
        (Cubic, False, (64, Fraction(27, 4), Fraction(8, 9))),
        (Ascend, False, (2, Fraction(6, 4), Fraction(12, 9))),
        (Uniform, False, (1, 1, 1)),
    ],
)
def test_levels_by_hand(
    ratio: type[Levelled], shortcuts: bool, levels: tuple[Fraction | int, ...]
) -> None:
    left = kept_share(3100, 0.9) - 30
    reach = sum(int(1000 * level) for level in levels)
    expected = [int(Fraction(left * 1000) * level / reach) for level in levels]
    assert counts(ratio(0.9), shortcuts) == [*expected, 30]


def test_what_is_too_much_goes_to_the_next_layers() -> None:
    ratios = [Fraction(3, 2), Fraction(9, 10), Fraction(1, 2), Fraction(2)]
    assert spill(ratios, [100, 100, 100, 100]) == [1, 1, Fraction(9, 10), 1]


def test_the_walk_ends_where_nothing_is_left_over() -> None:
    # The last layer is behind the end of the walk: cut, and its surplus lost.
    ratios = [Fraction(1, 2), Fraction(2), Fraction(1, 10)]
    assert spill(ratios, [100, 100, 100]) == [Fraction(1, 2), 1, Fraction(1, 10)]


def test_the_scale_comes_from_levels_rounded_down_layer_by_layer() -> None:
    # floor(31 / 2) = 15 each: c = 45 / 30 and r = 3 / 4, where the unrounded 31 would give 22.
    assert levelled(45, [31, 31], [Fraction(1, 2)] * 2) == [23, 23]
    assert levelled(2, [3], [Fraction(1, 9)]) == [0]
    assert levelled(5, [], []) == []


def test_ascend_empties_the_first_layer_of_a_deep_network_and_says_so() -> None:
    layers = tuple(Layer(f"conv{i}", "conv", (100, 10, 1, 1)) for i in range(30))
    blueprint = Blueprint((Layer("stem", "conv", (32, 3, 1, 1)), *layers), shortcuts=True)
    allocation = Ascend(0.98).allocate(blueprint, Budget(kept_share(blueprint.total, 0.98)))
    assert allocation.empty[0] == "stem"
    assert allocation.total > 0


def test_linear_layers_without_a_share_are_like_all_others() -> None:
    assert counts(Uniform(0.9, linear=None)) == [100, 100, 100, 10]
    smart = counts(Smart(0.9, linear=None))
    assert smart[-1] == int(Fraction(310 * 100 * 2, 1000 * (20 + 12 + 6) + 100 * 2))


def test_linear_share_changes_what_the_others_get() -> None:
    assert counts(Uniform(0.9, linear=0.0)) == [103, 103, 103, 0]
    assert counts(Uniform(0.9, linear=1.0)) == [70, 70, 70, 100]


def test_hidden_linear_layers_follow_the_levels_like_convolutions() -> None:
    """Levels 3 and 2 of the first two; the last one keeps its 0.3 whatever its level."""
    shapes = {"first": (20, 40), "hidden": (20, 20), "fc": (10, 20)}
    layers = tuple(Layer(name, "linear", shape) for name, shape in shapes.items())
    kept = (
        LinearDecay(0.8)
        .allocate(Blueprint(layers, shortcuts=True, classifier=("fc",)), Budget(280))
        .kept
    )
    # 280 - 60 to be shared, 3 x 800 + 2 x 400 levels: 11/160 of a weight a level.
    assert kept == {"first": 165, "hidden": 55, "fc": 60}


def test_at_sparsity_0_all_but_the_linear_layer_are_whole() -> None:
    assert counts(Smart(0.0)) == [1000, 1000, 1000, 30]
    assert counts(Smart(0.0, linear=None)) == [1000, 1000, 1000, 100]


@pytest.mark.parametrize("ratio", [Smart, LinearDecay, Cubic, Ascend, Uniform])
@pytest.mark.parametrize("sparsity", [0.9904, 0.995, 0.9999999])
def test_refuses_sparsities_the_linear_layer_alone_exceeds(
    ratio: type[Levelled], sparsity: float
) -> None:
    kept = kept_share(3100, sparsity)
    with pytest.raises(
        ConfigError,
        match=rf"^ratio\.sparsity={sparsity} leaves {kept} weights, but ratio\.linear=0\.3 of the "
        r"classifier needs 30: lower ratio\.sparsity or ratio\.linear$",
    ):
        counts(ratio(sparsity))


@pytest.mark.parametrize("linear", [-0.1, 1.5, float("nan"), "dense"])
def test_refuses_a_linear_share_that_is_none(linear: float) -> None:
    with pytest.raises(ConfigError, match=rf"^ratio\.linear={linear} is not possible: choose a k"):
        counts(Smart(0.9, linear=linear))
