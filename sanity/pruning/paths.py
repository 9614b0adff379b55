"""Effective weights: those on some path of kept weights from an input to an output.

A kept weight of which nothing arrives, or whose output leads nowhere, takes part in no result;
the sparsity without such weights is the effective one (Vysogorets and Kempe 2023, "Connectivity
matters: neural network pruning through the lens of effective sparsity").
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from sanity.networks.build import hollow
from sanity.networks.operations import tensors_in
from sanity.pruning.masks import Mask

ADD = frozenset({torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__iadd__})

GLUE = ADD | {
    *(torch.cat, torch.concat, torch.mean, Tensor.mean, torch.sum, Tensor.sum, F.pad, F.dropout),
    *(F.avg_pool2d, F.adaptive_avg_pool2d, F.max_pool2d, F.adaptive_max_pool2d),
    *(F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
    *(F.leaky_relu, F.elu, F.gelu, F.silu),
    *(torch.flatten, Tensor.flatten, Tensor.view, torch.reshape, Tensor.reshape),
    *(torch.permute, Tensor.permute, torch.transpose, Tensor.transpose, Tensor.contiguous),
    *(torch.squeeze, Tensor.squeeze, torch.unsqueeze, Tensor.unsqueeze, Tensor.__getitem__),
    *(torch.clone, Tensor.clone, torch.chunk, Tensor.chunk, torch.split, Tensor.split),
    *(Tensor.size, Tensor.dim, Tensor.__len__),
    *(Tensor.shape.__get__, Tensor.ndim.__get__),  # type: ignore[attr-defined]
}
"""What may stand between layers: of values that are not negative, each result is positive where
one of those that it is made of is, and its gradient is positive for each of those."""

MAXIMA = {F.max_pool2d: F.avg_pool2d, F.adaptive_max_pool2d: F.adaptive_avg_pool2d}
"""What takes the place of maxima, whose gradient would name one of several equal paths."""

POOLING = ("kernel_size", "stride", "padding", "ceil_mode", "output_size")

FORWARDS = (nn.Conv2d.forward, nn.Linear.forward)

HALF = 0.5
"""Between none and one of the paths that a layer counts in whole numbers."""


def effective(
    factory: Callable[[], nn.Module], mask: Mask, input_shape: tuple[int, int, int]
) -> int | None:
    """How many kept weights lie on a path of kept weights from an input to an output.

    With every kept weight 1 and all others 0, ones flow through the network, and the gradient of
    what arrives tells which weights have taken part. At every layer, values and gradients are
    clipped to 0 or 1, since the number of paths exceeds what a float can hold. The units of a
    convolution are its channels, position by position: a weight that meets nothing but padding
    is on no path. Batch norms pass what they get, a maximum takes whatever is in its window.

    None where a network does anything else between its layers than :data:`GLUE` allows: then
    nobody knows what a path is.
    """
    network = hollow(factory)
    layers = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    # Attention, weights that are used twice or not at all: other layers than those of the mask.
    if layers.keys() != mask.keys() or not all(map(_is_plain, layers.values())):
        return None
    weights = _set(layers, mask)
    images = torch.ones(1, *input_shape)
    flow = _Flow(images)
    for module in network.modules():
        if isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward:
            # No alias of what it gets: what follows may work in place.
            module.forward = torch.clone  # type: ignore[method-assign]
    for module in layers.values():
        module.register_forward_pre_hook(flow.enter)
        module.register_forward_hook(flow.leave)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            with flow:
                output = network(images)
            flow.refuse_foreign(output)
            # Of a sum: to be given gradients, PyTorch would import its compiler's algebra.
            found = torch.autograd.grad(output.sum(), list(weights.values()), allow_unused=True)
    except Exception:  # UnknownPathsError, or whatever a network of one's own says to all this
        return None
    if flow.is_unknown:
        return None
    return sum(
        int(((gradient > HALF) & mask[name]).sum())
        for name, gradient in zip(weights, found, strict=True)
        if gradient is not None  # of a layer that nothing leads through
    )


def _is_plain(module: nn.Module) -> bool:
    """Whether a layer does what its class is known for, and nothing beside it."""
    hooks = module._forward_hooks or module._forward_pre_hooks
    return type(module).forward in FORWARDS and not hooks


def _set(layers: Mapping[str, nn.Conv2d | nn.Linear], mask: Mask) -> dict[str, nn.Parameter]:
    """Give every layer its mask as weight, and no bias; those weights, by name."""
    weights = {}
    for name, module in layers.items():
        weights[name] = module.weight = nn.Parameter(mask[name].float())
        module.bias = None
    return weights


class UnknownPathsError(Exception):
    """Something between layers that has no paths."""


class _Flow(TorchFunctionMode):
    """Watches what stands between the layers, and clips what flows through these.

    ``known`` is the memory of everything that comes from the input: a constant that is added to
    it would pass for a path.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.is_unknown = self.inside = False
        self.held = [images]  # as long as the pass takes, so that no memory is used again
        self.known = {_memory(images)}

    def enter(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """What comes to a layer, as 0 or 1."""
        self.refuse_foreign(inputs[0])
        self.inside = True
        return _Clip.apply(inputs[0], 0, HALF)

    def leave(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """What leaves it, as 0 or 1."""
        found = _Clip.apply(output, HALF, 0)
        self.inside = False
        return self._from_input(found)

    def _from_input(self, result: Any) -> Any:
        made = list(tensors_in(result))
        self.held += made
        self.known.update(map(_memory, made))
        return result

    def refuse_foreign(self, tensor: Tensor) -> None:
        """Raise where something does not come from the input."""
        if _memory(tensor) not in self.known:
            self._refuse("what does not come from the input")

    def _refuse(self, why: str) -> None:
        self.is_unknown = True
        raise UnknownPathsError(why)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.inside or function is Tensor.untyped_storage:
            return function(*args, **kwargs)
        known = all(_memory(one) in self.known for one in tensors_in([args, kwargs]))
        if not known or not _has_paths(function, args, kwargs) or not torch.is_grad_enabled():
            self._refuse(str(function))
        function, kwargs = average_for(function, kwargs)
        return self._from_input(function(*args, **kwargs))


def _has_paths(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether a function is glue, and called as such; defaults are among its arguments."""
    given = {name: value for name, value in kwargs.items() if value}
    if function in ADD:  # no constants, no differences
        return not given and all(isinstance(one, Tensor) or one == 0 for one in args)
    if function in MAXIMA:
        return is_average_like(function, kwargs)
    return function in GLUE and not given.keys() & {"value", "training"}


def is_average_like(function: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether it is a maximum over windows that an average can be taken over."""
    if function not in MAXIMA:
        return False
    given = {name: value for name, value in kwargs.items() if value}
    dilated = given.pop("dilation", 1) not in (1, (1, 1), [1, 1])
    return not dilated and given.keys() <= set(POOLING)


def average_for(function: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """An average over the same windows as a maximum; anything else as it is."""
    if function not in MAXIMA:
        return function, dict(kwargs)
    return MAXIMA[function], {name: kwargs[name] for name in POOLING if name in kwargs}


class _Clip(torch.autograd.Function):
    """1 where a value exceeds one limit, and 1 where a gradient exceeds the other."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, limit: float, of_gradient: float) -> Tensor:
        ctx.of_gradient = of_gradient
        return (values > limit).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return (gradient > ctx.of_gradient).to(gradient.dtype), None, None


def _memory(tensor: Tensor) -> int:
    """Where a tensor's numbers lie; its views share it."""
    return tensor.untyped_storage().data_ptr()
