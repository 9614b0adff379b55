"""Is there anything left to train? Whether a masked network can pass on anything of its images."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from sanity.core.streams import generator, seeded, stream
from sanity.networks.build import hollow
from sanity.networks.layers import weights_of
from sanity.networks.operations import Operation, Watcher
from sanity.pruning.masks import Mask
from sanity.pruning.paths import average_for, is_average_like

IMAGES = 3  # of two, a batch norm without statistics makes +1 and -1
TINY = torch.finfo(torch.float32).tiny

SLOPE = 0.5  # of negative values, which a ReLU would lose

OPEN: Mapping[Any, Callable[..., Tensor]] = dict.fromkeys(
    [
        *(F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6),
        *(F.hardtanh, F.hardtanh_, F.threshold, torch.threshold_),
        *(torch.clamp, Tensor.clamp, Tensor.clamp_, torch.clamp_min, Tensor.clamp_min),
        *(torch.threshold, F.rrelu, F.hardshrink, F.softshrink),
    ],
    lambda x: F.leaky_relu(x, SLOPE),
) | {F.hardsigmoid: torch.sigmoid, F.hardswish: F.silu}
"""What takes the place of activations that are flat somewhere."""

FLAT = {
    *("relu", "clamp", "clamp_min", "clamp_max", "hardtanh", "hardswish", "hardsigmoid", "sign"),
    *("threshold", "where", "round", "floor", "ceil", "maximum", "minimum", "max", "min", "amax"),
    *("gt", "ge", "lt", "le", "eq", "ne", "topk", "sort", "argmax", "max_pool2d_with_indices"),
    *("bernoulli", "native_dropout", "masked_fill", "softshrink", "hardshrink"),
}
"""Operations that may pass on nothing of what they get, though there is a path through them."""


def is_dead(
    factory: Callable[[], nn.Module], mask: Mask, input_shape: tuple[int, int, int]
) -> bool | None:
    """Whether no path of kept weights leads from any input to any output; None: not to be judged.

    Kept weights are drawn at random, and so are images; a path is left where the output has a
    gradient with respect to them. That holds behind every normalisation. Activations that are flat
    somewhere are replaced by some that are not. Where the gradient is 0 all the same, the answer is
    that there is no path, unless the network has other operations that pass nothing on at times, or
    is as silent with every weight kept.
    """
    network = hollow(factory).float()
    found, is_certain = _passes(network, mask, input_shape)
    if found:
        return False
    whole = {name: torch.ones_like(keep) for name, keep in mask.items()}
    return True if is_certain and _passes(network, whole, input_shape)[0] else None


def _passes(network: nn.Module, mask: Mask, input_shape: tuple[int, int, int]) -> tuple[bool, bool]:
    """Whether anything of the images arrives, and whether that is certain if nothing does."""
    random = generator(0, "connectivity")
    _draw(network, mask, random)
    images = torch.randn((IMAGES, *input_shape), generator=random)
    images.requires_grad_()
    seen = _Seen()
    try:
        with seeded(stream(0, "connectivity", "chance")), torch.enable_grad():
            with seen, _Open():
                output = network(images)
            weights = torch.randn(output.shape, generator=random, dtype=output.dtype)
            (gradient,) = torch.autograd.grad((output * weights).sum(), images)
    except Exception:  # whatever a network of one's own says to other numbers than its own
        return False, False
    return bool(gradient.abs().max() > 0), not seen.names & FLAT and bool(gradient.isfinite().all())


@torch.no_grad()
def _draw(network: nn.Module, mask: Mask, random: torch.Generator) -> None:
    """Give every parameter a random value, pruned weights 0, and norms fresh statistics.

    The kept weights of every output are of length 1, so that nothing explodes or fades.
    """
    fresh: dict[str, Any] = {}
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point():
            values = torch.randn(parameter.shape, generator=random)
            fresh[name] = 0.5 + values.abs() if parameter.dim() < 2 else values
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
    weights = weights_of(network, mask)
    pruned = {id(weight): mask[name] for name, weight in weights.items()}
    for name, parameter in network.named_parameters():
        if name not in fresh:
            continue
        values = fresh[name]
        if id(parameter) in pruned:
            values = values * pruned[id(parameter)]
            length = values.flatten(1).norm(dim=1).clamp_min(TINY)
            values = values / length.view(-1, *[1] * (values.dim() - 1))
        parameter.data = values.to(parameter.dtype)


class _Open(TorchFunctionMode):
    """Puts what passes everything on in the place of what may pass on nothing."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in OPEN:
            return OPEN[function](args[0] if args else kwargs["input"])
        if is_average_like(function, kwargs):
            function, kwargs = average_for(function, kwargs)
        return function(*args, **kwargs)


class _Seen(Watcher):
    """Remembers the names of the operations that are carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def note(self, operation: Operation) -> None:
        """One of them; in place or not is the same here."""
        self.names.add(operation.name.rstrip("_"))
