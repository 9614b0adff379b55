"""A network's prunable layers, known without memory for its weights and seen to fit the data."""

import functools
import json
from dataclasses import replace

from sanity.archs.base import Network
from sanity.core.errors import ConfigError
from sanity.experiment.instantiate import build_network
from sanity.identity import Reads, building
from sanity.networks.blueprint import blueprint, refuse_unprunable
from sanity.networks.build import skeleton, tried
from sanity.networks.layers import Blueprint, prunable_weights

MOST = 10**9
"""Prunable weights of a network: 4 GB, and as much again for gradients, momentum and scores."""


@functools.lru_cache(maxsize=256)
def outline(arch: str, channels: int, side: int, num_classes: int) -> tuple[Blueprint, Reads]:
    """The layers of a network for images (channels, side, side), and what it reads when it is made.

    ``arch`` is its settings as JSON: the jobs of a sweep ask for the same network again and again.
    Raises ConfigError for a network that does not take the images or tell the classes apart.
    """
    factory = functools.partial(build_network, json.loads(arch))
    with building() as reads:
        network = skeleton(factory)
    refuse_unprunable(network)
    size = sum(weight.numel() for weight in prunable_weights(network).values())
    if size > MOST:
        raise ConfigError(f"arch: has {size:,} prunable weights: {MOST:,} are the most")
    remark = ""
    if not isinstance(network, Network):
        network, remark = tried(factory)
    found = blueprint(network, (channels, side, side), num_classes)
    return (replace(found, remarks=(*found.remarks, remark)) if remark else found), reads
