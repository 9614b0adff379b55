"""The smart ratio and its ablations against the counts of the paper's own public code.

reference_counts.json was frozen from that code: its mask function, run on the CPU on its own
networks for the tabled settings, and the ones of each mask counted. (For ResNet56 with basic
blocks its switch to bottlenecks was taken out.) It computes in single precision, so that a layer
may differ by one weight.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sanity.archs.resnet import ResNet
from sanity.archs.vgg import VGG
from sanity.networks.blueprint import blueprint
from sanity.networks.build import skeleton
from sanity.networks.layers import Blueprint
from sanity.ratios.base import Budget, kept_share
from sanity.ratios.smart import Smart

CASES = json.loads(Path(__file__).with_name("reference_counts.json").read_text())
CONF = Path(__file__).parents[2] / "conf" / "ratio"

SMART_RESNET32_98 = [
    *(136, 1376, 1295, 1216, 1140, 1067, 995, 927, 860, 797, 735),
    *(1353, 2482, 125, 2060, 1864, 1677, 1501, 1334, 1177, 1030, 892),
    *(1530, 2590, 119, 1766, 1412, 1098, 824, 588, 392, 235, 117, 384),
]


def outline(network: str, num_classes: int) -> Blueprint:
    if network.startswith("vgg"):
        factory = partial(VGG, int(network[3:5]), network.endswith("_bn"), num_classes)
        return blueprint(skeleton(factory))
    block = "bottleneck" if network.endswith("_bottleneck") else "basic"
    return blueprint(skeleton(partial(ResNet, int(network[6:8]), num_classes, block=block)))


def test_table_covers_every_ratio_on_both_kinds_of_network() -> None:
    covered = {(case["ratio"], case["network"][:3]) for case in CASES}
    ratios = ("smart", "linear_decay", "cubic", "ascend", "uniform")
    assert covered >= {(ratio, kind) for ratio in ratios for kind in ("res", "vgg")}


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: "-".join(str(v) for k, v in c.items() if k != "kept")
)
def test_counts_agree_within_one_weight_a_layer(case: dict[str, Any]) -> None:
    layers = outline(case["network"], case["num_classes"])
    option = OmegaConf.load(CONF / f"{case['ratio']}.yaml")
    ratio = instantiate(option, sparsity=case["sparsity"], linear=case["linear"])
    allocation = ratio.allocate(layers, Budget(kept_share(layers.total, case["sparsity"])))
    kept = list(allocation.kept.values())
    assert len(kept) == len(case["kept"])
    assert all(abs(ours - theirs) <= 1 for ours, theirs in zip(kept, case["kept"], strict=True))


def test_resnet32_at_98_percent_meets_the_published_counts_exactly() -> None:
    layers = outline("resnet32", 10)
    allocation = Smart(0.98).allocate(layers, Budget(kept_share(layers.total, 0.98)))
    assert list(allocation.kept.values()) == SMART_RESNET32_98
    assert allocation.total == 37_094
