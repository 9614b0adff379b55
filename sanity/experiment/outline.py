"""A network's prunable layers, known without memory for its weights and seen to fit the data."""

import functools
import json

import torch

from sanity.core.errors import ConfigError, one_line
from sanity.experiment.instantiate import build
from sanity.identity import Reads, building
from sanity.networks.build import fill, skeleton
from sanity.networks.layers import Blueprint, blueprint

MOST = 10**9
"""Prunable weights of a network: 4 GB, and as much again for gradients, momentum and scores."""


@functools.lru_cache(maxsize=256)
@torch.no_grad()
def outline(arch: str, channels: int, side: int, num_classes: int) -> tuple[Blueprint, Reads]:
    """The layers of a network for images (channels, side, side), and what it reads when it is made.

    ``arch`` is its settings as JSON: the jobs of a sweep ask for the same network again and again.
    Raises ConfigError for a network that does not take the images or tell the classes apart.
    """
    with building() as reads:
        network = skeleton(functools.partial(build, "arch", json.loads(arch))).eval()
    try:
        found = blueprint(network)
    except Exception as error:  # layers whose shape is not known yet
        raise ConfigError(f"arch: has layers without a shape: {one_line(error)}") from error
    if not found.layers:
        raise ConfigError("arch: the network has no convolution or linear layer to prune")
    if found.total > MOST:
        raise ConfigError(f"arch: has {found.total:,} prunable weights: {MOST:,} are the most")
    shape = (2, channels, side, side)
    images = torch.empty(shape, device="meta")
    if type(network).__module__.startswith("sanity."):
        # On the meta device PyTorch's compiler is imported, which takes seconds. What a network of
        # one's own does with real images, and how much memory it takes, nobody knows.
        network, images = fill(network), torch.zeros(shape)
    try:
        outputs = tuple(network(images).shape)
    except Exception as error:  # whatever a network says to images that it was not made for
        raise ConfigError(f"arch: does not take images {shape[1:]}: {one_line(error)}") from error
    if outputs != (2, num_classes):
        raise ConfigError(f"arch: gives {outputs[1:]} outputs for {num_classes} classes")
    return found, reads
