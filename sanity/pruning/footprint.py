"""What a ticket costs where it is used: multiply-accumulates, bytes, and weights that take part."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from sanity.networks.build import skeleton
from sanity.networks.layers import Blueprint, weights_of
from sanity.pruning import masks
from sanity.pruning.masks import Mask
from sanity.pruning.paths import effective

Footprint = dict[str, int | None]
"""``macs`` and ``dense_macs``, ``bytes`` and ``dense_bytes``, ``effective``; None: not known."""


def footprint(
    factory: Callable[[], nn.Module],
    blueprint: Blueprint,
    mask: Mask,
    input_shape: tuple[int, int, int],
) -> Footprint:
    """The costs of a ticket and of the dense network it comes from. Nothing of it is random.

    ``macs``: multiply-accumulates of one image's forward pass, two FLOPs each. Every kept weight
    of a prunable layer counts once an output position, padding as computed; biases, norms,
    activations, pooling and products of activations do not count.
    ``bytes``: the state dict as the store keeps it, the values of kept weights, a bit for each
    weight of a prunable layer, and all that is never pruned (biases, norms with their
    statistics); ``dense_bytes`` is the state dict.
    ``effective``: how many kept weights lie on a path from input to output (:mod:`.paths`).
    """
    macs = _multiplications(blueprint, masks.kept(mask))
    dense_macs = _multiplications(blueprint, {one.name: one.total for one in blueprint.layers})
    stored, dense = _sizes(skeleton(factory), mask)
    return {
        "macs": macs,
        "dense_macs": dense_macs,
        "bytes": stored,
        "dense_bytes": dense,
        "effective": effective(factory, mask, input_shape),
    }


def _multiplications(blueprint: Blueprint, kept: Mapping[str, int]) -> int | None:
    """Those of one image; None where a layer's are not known."""
    found = 0
    for layer in blueprint.layers:
        if layer.positions is None:
            return None
        found += kept[layer.name] * layer.positions
    return found


def _sizes(network: nn.Module, mask: Mask) -> tuple[int, int]:
    """Bytes of a network's tensors, under its mask and as it is."""
    state = {id(one): one for one in network.state_dict(keep_vars=True).values()}  # each once
    dense = sum(one.nbytes for one in state.values() if isinstance(one, Tensor))
    pruned = sum(
        (mask[name].numel() - int(mask[name].sum())) * weight.element_size()
        for name, weight in weights_of(network, mask).items()
    )
    bits = sum(-(-keep.numel() // 8) for keep in mask.values())
    return dense - pruned + bits, dense
