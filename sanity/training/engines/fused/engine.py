"""Dense training on a CPU whose batch norms, shortcuts and ReLUs are one operation.

Convolutions are PyTorch's. Images lie as [pixel][channel] all the way (channels_last), where
PyTorch's own batch norm is not exact: it costs two digits of the gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.pruning.masks import Mask
from sanity.training.engines import team
from sanity.training.engines.compiled import first_use
from sanity.training.engines.dense import Dense
from sanity.training.engines.fused import normalisation
from sanity.training.engines.program import (
    Combination,
    Convolution,
    MaxPool,
    Operation,
    Program,
    Value,
)
from sanity.training.recipe import Recipe

Array = Any

ROW = 64
"""Numbers that kernels need in a row to be fast."""


class Fused(Dense):
    """The dense engine, with a forward pass of its own; ``program`` is what ``network`` computes.

    The bits of norms do not depend on the number of threads.
    """

    name = "fused"

    def __init__(self, network: nn.Module, recipe: Recipe, mask: Mask, program: Program) -> None:
        super().__init__(network, recipe, mask)
        self._program = program
        self._modules: dict[str, Any] = dict(network.named_modules())
        self._results: dict[Value, Tensor] = {}  # memory that is used in every step
        # A plain sum hands one gradient to both of its operands: it must not be written over.
        self._in_place = not any(
            isinstance(one, Combination) and one.norm is None and one.r is not None
            for one in program.operations
        )

    def step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """As the dense engine's; the first one compiles."""
        with first_use(self.name):
            return super().step(x, y)

    def logits(self, x: Tensor) -> Tensor:
        """Those of images [B, C, H, W], as [B, classes]."""
        values = {self._program.images: x.contiguous(memory_format=torch.channels_last)}
        for one in self._program.operations:
            self._compute(one, values)
        return values[self._program.logits].flatten(1)

    def _compute(self, one: Operation, values: dict[Value, Tensor]) -> None:
        if isinstance(one, Convolution):
            values[one.y] = _convolved(self._modules[one.name], values[one.x], one)
        elif isinstance(one, Combination) and one.norm is not None:
            norm = _Norm(self._modules[one.norm], one.relu, self._in_place, self._place(one))
            shortcut = None if one.r is None else values[one.r]
            module = norm.module
            found = _Normalise.apply(values[one.y], shortcut, module.weight, module.bias, norm)
            values[one.z] = found
        elif isinstance(one, Combination):
            total = values[one.y] if one.r is None else values[one.y] + values[one.r]
            values[one.z] = F.relu(total) if one.relu else total
        elif isinstance(one, MaxPool):
            values[one.z] = F.max_pool2d(values[one.x], one.window)
        else:
            values[one.z] = values[one.x].mean((2, 3), keepdim=True)

    def _place(self, one: Combination) -> Callable[[Tensor], Tensor]:
        """Where the result of a norm is to lie: where it did in the last step."""

        def place(like: Tensor) -> Tensor:
            found = self._results.get(one.z)
            if found is None or found.dtype != like.dtype or len(found) < len(like):
                found = self._results[one.z] = _new(like)
            return found[: len(like)]

        return place


def _convolved(module: Any, x: Tensor, one: Convolution) -> Tensor:
    if isinstance(module, nn.Linear):
        return F.linear(x.flatten(1), module.weight, module.bias)[:, :, None, None]
    return F.conv2d(x, module.weight, module.bias, one.stride, one.padding)


@dataclass(frozen=True)
class _Norm:
    """A batch norm, whether a ReLU follows, whether gradients are written over those they come
    from, and what gives memory for a result like a tensor."""

    module: nn.BatchNorm2d
    relu: bool
    in_place: bool
    place: Callable[[Tensor], Tensor]


class _Normalise(torch.autograd.Function):
    """z = relu(norm(y) + r), all [B, C, H, W], r and the ReLU only where there are such."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, r: Tensor | None, gamma: Tensor, beta: Tensor, norm: _Norm
    ) -> Tensor:
        y, z, form = _whole(y), norm.place(y), (norm.relu, r is not None)
        layout = _Layout(y)
        source, target = layout.rows(y), layout.rows(z)
        other = source if r is None else layout.rows(_whole(r.to(y.dtype)))
        pivot = _whole(y[:1]).float().mean((0, 2, 3)).numpy()
        near = layout.wide(pivot)
        total, square = layout.sums(
            lambda part, sums: normalisation.moments(source, near, layout.length, part, sums)
        )
        mean, variance = pivot + total / layout.count, square - total * total / layout.count
        _keep_running(norm.module, mean, variance / (layout.count - 1))
        inverse = 1 / np.sqrt(variance / layout.count + norm.module.eps)
        pivot = mean.astype(np.float32)
        weight, bias = gamma.detach().numpy(), beta.detach().numpy()
        scale, shift = weight * inverse, bias - (mean - pivot) * weight * inverse
        near, factor, term = (layout.wide(one) for one in (pivot, scale, shift))
        _share(
            len(source),
            lambda part: normalisation.normalise(
                source, other, target, near, factor, term, part, form
            ),
        )
        ctx.save_for_backward(y, z)
        ctx.known = mean, inverse, scale, form, norm.in_place
        return z

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Any:
        y, z = ctx.saved_tensors
        mean, inverse, scale, form, in_place = ctx.known
        d = _whole(d)
        dy, dr = d if in_place else _new(y), _new(y) if form[1] else None
        layout = _Layout(y)
        source, result, gradient, target = (layout.rows(one) for one in (y, z, d, dy))
        other = target if dr is None else layout.rows(dr)
        pivot = mean.astype(np.float32)
        near, lost = layout.wide(pivot), mean - pivot  # what rounding the mean took away
        total, product = layout.sums(
            lambda part, sums: normalisation.products(
                source, result, gradient, near, layout.length, part, form[0], sums
            )
        )
        product = product - total * lost
        slope = product * inverse * inverse / layout.count
        offset = total / layout.count - slope * lost
        factor, k1, k2 = (layout.wide(one) for one in (scale, offset, slope))
        _share(
            len(source),
            lambda part: normalisation.denormalise(
                source, result, gradient, target, other, near, factor, k1, k2, part, form
            ),
        )
        d_gamma, d_beta = (one.astype(np.float32) for one in (product * inverse, total))
        return dy, dr, torch.from_numpy(d_gamma), torch.from_numpy(d_beta), None


class _Layout:
    """How kernels take images [B, C, H, W] that lie channels last: as rows of several pixels.

    Rows of few numbers do not fill the vectors of a CPU. ``length``: rows of an image;
    ``count``: numbers of a channel.
    """

    def __init__(self, images: Tensor) -> None:
        self.images, self.channels, height, width = images.shape
        size, most = height * width, max(1, ROW // self.channels)
        self.pixels = next(one for one in range(min(most, size), 0, -1) if size % one == 0)
        self.length, self.count = size // self.pixels, self.images * size

    def rows(self, images: Tensor) -> Array:
        """As an array of the same memory; uint16 for bfloat16, which NumPy does not know."""
        found = images.detach().permute(0, 2, 3, 1).view(-1, self.pixels * self.channels)
        return (found.view(torch.uint16) if found.dtype == torch.bfloat16 else found).numpy()

    def wide(self, vector: Array) -> Array:
        """A number a channel, for each number of a row, as float32."""
        return np.tile(vector.astype(np.float32), self.pixels)

    def sums(self, work: Callable[[tuple[int, int], Array], None]) -> Array:
        """[2, C] float64, from what ``work`` finds for each image, added up in their order."""
        found = np.empty((self.images, 2, self.pixels * self.channels))
        _share(self.images, lambda part: work(part, found))
        return found.reshape(self.images, 2, self.pixels, self.channels).sum((0, 2))


def _share(count: int, work: Callable[[tuple[int, int]], None]) -> None:
    """Let all threads do their part of ``count`` things."""
    team.run(
        lambda thread, threads: work((count * thread // threads, count * (thread + 1) // threads)),
        torch.get_num_threads(),
    )


def _keep_running(module: nn.BatchNorm2d, mean: Array, variance: Array) -> None:
    momentum: Any = module.momentum
    for kept, now in ((module.running_mean, mean), (module.running_var, variance)):
        assert kept is not None
        kept += momentum * (torch.from_numpy(now) - kept)
    assert module.num_batches_tracked is not None
    module.num_batches_tracked += 1


def _new(like: Tensor) -> Tensor:
    """Memory for images of the same shape and type, channels last."""
    images, channels, height, width = like.shape
    return torch.empty(images, height, width, channels, dtype=like.dtype).permute(0, 3, 1, 2)


def _whole(images: Tensor) -> Tensor:
    """The same, channels last without gaps; a copy where they do not lie so."""
    return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
