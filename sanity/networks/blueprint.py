"""A network's blueprint: what of it can be pruned, and how its layers are connected.

Nothing of this is assumed. What a forward pass computes is watched (:mod:`.flow`) in evaluation and
in training mode; what it does not show is not known.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sanity.core.errors import ConfigError, listed, one_line
from sanity.core.streams import generator, global_states, reseed, seeded
from sanity.networks.build import fill
from sanity.networks.flow import Flow, flow
from sanity.networks.layers import (
    WEIGHT,
    Blueprint,
    Layer,
    is_known_code,
    is_prunable,
    layer_of,
    prunable_weights,
)

Shape = tuple[int, int, int]

CONTRACT = 2
"""A part of the keys of networks of others: raised where the same network is pruned otherwise."""

IMAGES = 2  # so that batch norms of single pixels have a spread


def blueprint(
    network: nn.Module, input_shape: Shape | None = None, num_classes: int | None = None
) -> Blueprint:
    """Describe ``network`` for images of ``input_shape`` (C, H, W), which it may know itself.

    A skeleton will do, and the network stays as it is. Raises ConfigError for layers that cannot
    be pruned, and for a network that does not give logits [B, ``num_classes``] for images.
    """
    shape = getattr(network, "input_shape", None) if input_shape is None else input_shape
    assert shape is not None, "the network does not say what images it takes"
    refuse_unprunable(network)
    network = fill(copy.deepcopy(network))
    weights = prunable_weights(network)
    dtype = next(iter(weights.values())).dtype
    images = torch.randn((IMAGES, *shape), generator=generator(0, "blueprint"), dtype=dtype)
    seen, classes = _seen(network.eval(), weights, images, num_classes, "")
    trained, _ = _seen(network.train(), weights, images, classes, " in training mode")
    used = seen.used | trained.used
    _refuse_filled(seen.filled | trained.filled)
    layers = tuple(
        Layer(name, "conv" if weight.dim() == 4 else "linear", tuple(weight.shape), positions)
        for name, weight in weights.items()
        if name in used
        for positions in [seen.positions.get(name)]
    )
    if not layers:
        raise ConfigError("arch: what the network gives does not go through any of its layers")
    draws, remark = _chance(network, images)
    output, classifier = seen.output, _classifier(layers, seen, classes)
    told = _remarks(network, weights, layers, output is not None, bool(classifier), remark)
    return Blueprint(
        layers=layers,
        shortcuts=None if output is None else output.least < output.most,
        classifier=classifier,
        misplaced=_misplaced([layer.name for layer in layers], seen.after),
        draws=draws,
        remarks=tuple(told),
    )


def refuse_unprunable(network: nn.Module) -> None:
    """Raise ConfigError where there is no layer, or one whose weight is no parameter of a shape."""
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        weight = module._parameters.get(WEIGHT)
        if isinstance(weight, nn.parameter.UninitializedParameter):
            raise ConfigError(f"arch: has layers without a shape: {name} is lazy; give it its size")
        if weight is None:
            raise ConfigError(
                f"arch: the weight of layer {name} is computed from others (weight norm, spectral "
                "norm, another parametrization), so that pruned weights cannot be kept at 0: leave "
                "that out, or remove it (torch.nn.utils.parametrize.remove_parametrizations)"
            )
    if not prunable_weights(network):
        raise ConfigError("arch: the network has no convolution or linear layer to prune")


def _seen(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    images: Tensor,
    num_classes: int | None,
    mode: str,
) -> tuple[Flow, int]:
    """What a forward pass shows, and how many logits it gives."""
    shape = tuple(images.shape[1:])
    try:
        with seeded(0), torch.enable_grad():
            seen, output = flow(network, weights, images)
    except Exception as error:  # whatever a network says to images that it was not made for
        raise ConfigError(f"arch: does not take images {shape}{mode}: {one_line(error)}") from error
    if not isinstance(output, Tensor):
        raise ConfigError(f"arch: gives a {type(output).__name__}{mode} instead of logits")
    found = tuple(output.shape)
    if len(found) != 2 or found != (len(images), num_classes or found[1]):
        classes = "" if num_classes is None else f" for {num_classes} classes"
        raise ConfigError(f"arch: gives {found[1:]} outputs{classes}{mode}")
    return seen, found[1]


def _refuse_filled(filled: Mapping[str, str]) -> None:
    """Raise ConfigError where zeros among the weights do not stay without effect."""
    for name, operation in filled.items():
        raise ConfigError(
            f"arch: the weight of layer {name} goes through {operation} before it is applied "
            "(standardised weights, for one), which makes something of pruned weights too: choose "
            "a network that applies its weights as they are"
        )


def _chance(network: nn.Module, images: Tensor) -> tuple[bool, str]:
    """Whether the forward pass may draw in training; a remark where its chance is not ours to seed.

    Code of others may draw now and then; what PyTorch's own modules do is seen at once.
    """
    network.train()
    state = copy.deepcopy(network.state_dict())
    outputs = []
    with seeded(0), torch.no_grad():
        before = global_states()
        for _ in range(2):
            reseed(0)
            outputs.append(network(images))
            _put_back(network, state)
        draws = global_states() != before or not is_known_code(network)
    if _same(*outputs):
        return draws, ""
    return True, (
        "its forward pass changes from one call to the next by more than the global generators of "
        "torch, numpy.random and random: runs with it do not repeat to the same bits"
    )


def _put_back(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give buffers (running statistics) the values they had; no pass changes parameters."""
    for name, buffer in network.named_buffers():
        if name in state:
            buffer.copy_(state[name])


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _classifier(layers: Sequence[Layer], seen: Flow, classes: int) -> tuple[str, ...]:
    """The layers behind which the logits have come through no other, with an output a class."""
    front = seen.output.front if seen.output is not None else frozenset()
    return tuple(one.name for one in layers if one.name in front and one.shape[0] == classes)


def _misplaced(names: Sequence[str], after: Mapping[str, frozenset[str]]) -> tuple[str, str] | None:
    """The first layer that gets the output of one that stands behind it in the network.

    Where each of two gets the other's, one of them is used several times: no order is wrong then.
    """
    for number, name in enumerate(names):
        for later in names[number + 1 :]:
            if later in after.get(name, ()) and name not in after.get(later, ()):
                return name, later
    return None


def _remarks(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    layers: Sequence[Layer],
    is_traced: bool,
    has_head: bool,
    of_chance: str,
) -> list[str]:
    """What a user should know of the network before believing its numbers."""
    pruned = {layer.name for layer in layers}
    unused = [name for name in weights if name not in pruned]
    tied, others = _tied(network), _others(network)
    found = []
    if unused:
        size = sum(weights[name].numel() for name in unused)
        found.append(
            f"{size:,} weights that no forward pass uses are neither pruned nor counted: "
            f"{listed(unused)}"
        )
    if tied:
        found.append(f"weights that several layers share are pruned once: {listed(tied)}")
    if others:
        size = sum(others.values())
        found.append(f"{size:,} weights of other kinds are never pruned: {listed(list(others))}")
    if not is_traced:
        found.append(
            "how its output comes from the images cannot be seen: no classifier is known "
            "(ratio.linear is about none)"
        )
    elif not has_head:
        found.append("none of its layers gives the logits: ratio.linear is about none")
    return [*found, of_chance] if of_chance else found


def _tied(network: nn.Module) -> list[str]:
    """Prunable weights that stand in the network under more than one name."""
    first: dict[nn.Parameter, str] = {}
    found = []
    for path, module in network.named_modules(remove_duplicate=False):
        for name, parameter in module.named_parameters(path, recurse=False):
            if not is_prunable(module, name.rpartition(".")[2]):
                continue
            if parameter in first:
                found.append(f"{layer_of(name)} = {first[parameter]}")
            first.setdefault(parameter, layer_of(name))
    return found


def _others(network: nn.Module) -> dict[str, int]:
    """The sizes of parameters of two dimensions and more that are of no kind that is pruned."""
    prunable = set(prunable_weights(network).values())
    return {
        name: parameter.numel()
        for name, parameter in network.named_parameters()
        if parameter not in prunable and sum(side > 1 for side in parameter.shape) > 1
    }
