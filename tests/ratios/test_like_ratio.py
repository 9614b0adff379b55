import pytest

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint, Layer
from sanity.ratios.base import Budget
from sanity.ratios.like import Like

LAYERS = Blueprint(
    (Layer("conv", "conv", (4, 3, 1, 1)), Layer("fc", "linear", (2, 4))),
    shortcuts=True,
    classifier=("fc",),
)


def test_copies_the_donor_in_module_order() -> None:
    allocation = Like(0.5).allocate(LAYERS, Budget(10, donor={"fc": 1, "conv": 9}))
    assert list(allocation.kept.items()) == [("conv", 9), ("fc", 1)]
    assert allocation.pooled == 0


def test_refuses_a_donor_that_lacks_a_layer() -> None:
    with pytest.raises(ConfigError, match=r"^ratio\.of=grasp gives no number of weights for fc$"):
        Like(0.5, of="grasp").allocate(LAYERS, Budget(10, donor={"conv": 9}))
