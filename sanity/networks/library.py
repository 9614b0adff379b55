"""What options that build networks of libraries have in common: weights, channels, a small stem."""

import copy
import difflib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sanity.core.errors import ConfigError, DataError, listed

log = logging.getLogger(__name__)

STEMS = ("imagenet", "cifar")
NEAR = 6


@dataclass(frozen=True)
class Library:
    """A library of networks, by the name of its distribution, which enters keys with its version.

    ``weights_file`` finds the file of pretrained weights that ``arch.weights`` means for the
    network ``arch.name``: the library's own, fetched where it is not there, or a file that is
    named. Raises ConfigError where there is none.
    """

    name: str
    weights_file: Callable[[str, str], Path]


def unknown_name(name: str, names: Collection[str], library: str) -> ConfigError:
    """The error for a network that a library does not have; it may have hundreds."""
    near = difflib.get_close_matches(name, names, n=NEAR, cutoff=0.5)
    like = f"; near it are {', '.join(near)}" if near else ""
    return ConfigError(f"arch.name={name}: {library} has no classifier of that name{like}")


def with_stem(network: nn.Module, stem: str) -> nn.Module:
    """``network`` with a stem for small images, where ``stem`` is cifar: a ResNet's only.

    The 7x7 convolution of stride 2 becomes a 3x3 one of stride 1 and the max-pool is left out (He
    et al. 2016, section 4.2): 32 x 32 images are otherwise 8 x 8 maps before the first block.
    """
    if stem not in STEMS:
        raise ConfigError(f"arch.stem={stem}: must be {' or '.join(STEMS)}")
    if stem == "imagenet":
        return network
    first, pool = getattr(network, "conv1", None), getattr(network, "maxpool", None)
    if not isinstance(first, nn.Conv2d) or not isinstance(pool, nn.MaxPool2d):
        raise ConfigError(
            "arch.stem=cifar: is for ResNets, whose conv1 and maxpool it replaces; choose imagenet"
        )
    network.conv1 = nn.Conv2d(first.in_channels, first.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    return network


def with_channels(network: nn.Module, channels: int) -> nn.Module:
    """``network`` for images of ``channels``: its first convolution is drawn anew for them."""
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels == channels:
                return network
            other = copy.copy(module)
            other._parameters = dict(module._parameters)
            other.in_channels = channels
            shape = (module.out_channels, channels // module.groups, *module.kernel_size)
            other.weight = nn.Parameter(torch.empty(shape, device=module.weight.device))
            other.reset_parameters()
            network.set_submodule(path, other)
            return network
    raise ConfigError(f"arch: no convolution takes the images, whose {channels} channels differ")


def take(
    network: nn.Module, state: Mapping[str, Tensor], new: tuple[str, ...], path: Path
) -> nn.Module:
    """Give ``network`` the weights of ``state``, but for parts whose names begin like ``new``.

    Those keep their random weights where shapes differ, which is told. Raises DataError, naming
    the file ``path``, where anything else does not fit.
    """
    wanted = network.state_dict()
    misfits = [
        name
        for name, tensor in wanted.items()
        if name not in state or state[name].shape != tensor.shape
    ]
    surplus = [name for name in state if name not in wanted]
    wrong = [name for name in (*misfits, *surplus) if not name.startswith(new)]
    if wrong:
        raise DataError(
            f"arch.weights={path}: not the weights of this network: {listed(wrong)} "
            f"{'differs' if len(wrong) == 1 else 'differ'}"
        )
    fitting = {name: tensor for name, tensor in state.items() if name in wanted}
    for name in misfits:
        fitting.pop(name, None)
    network.load_state_dict(fitting, strict=False)
    if misfits:
        log.info("arch.weights: drawn anew, since shapes differ: %s", listed(misfits))
    return network
