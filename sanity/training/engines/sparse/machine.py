"""A program made ready to run: memory for a batch, and the kernels of a step in order.

All threads go through the same list, each with blocks of its own; norms have channels of their own
instead, with barriers around. What is summed over blocks is summed in their order, so that the bits
do not depend on who computed them.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sanity.training.engines.compiled import cpu
from sanity.training.engines.program import (
    Average,
    Combination,
    Convolution,
    MaxPool,
    Operation,
    Program,
    Value,
    operands,
    result,
)
from sanity.training.engines.sparse import convolution, elementwise, normalisation, taps
from sanity.training.engines.sparse.lanes import Activation, Form, aligned
from sanity.training.engines.sparse.parameters import Parameters
from sanity.training.engines.sparse.threads import BARRIER, Kernel, Threads


class Machine:
    """Computes the gradients of a loss on up to ``images`` images, at kept weights only."""

    def __init__(
        self, program: Program, network: nn.Module, parameters: Parameters, images: int
    ) -> None:
        self.program, self.parameters = program, parameters
        self.lanes = cpu().lanes
        self.blocks = -(-images // self.lanes)
        self._modules: dict[str, Any] = dict(network.named_modules())
        self._threads = Threads(torch.get_num_threads())
        # What each block adds to the gradients of weights and biases.
        self._partial = np.zeros((self.blocks, parameters.summed), np.float32)
        self._longest = 0
        self._values: dict[Value, Activation] = {}
        self._gradients: dict[Value, Activation] = {}
        self._free: dict[Form, list[Activation]] = {}
        self._written = {program.logits}
        self._in_place = _in_place(program, {program.logits})
        self._forward: list[Kernel | None] = []
        self._backward: list[Kernel | None] = []
        self._images = self._value(program.images)
        self._build()
        self._scratch = [aligned(self._longest * self.lanes) for _ in range(self._threads.count)]

    def _build(self) -> None:
        """List the kernels of a step, both ways."""
        operations = self.program.operations
        ways_back = [self._add(operation) for operation in operations]
        self._gradient(self.program.logits)
        for operation, add_backward in zip(reversed(operations), reversed(ways_back), strict=True):
            add_backward()
            # Nobody asks for this gradient any more: the next of its form may lie there.
            made = result(operation)
            if made not in self._in_place:
                gradient = self._gradients[made]
                self._free.setdefault(gradient.form, []).append(gradient)

    def logits(self, images: Tensor) -> Tensor:
        """Those of ``images`` [B, C, H, W], as [B, classes]."""
        array, memory = images.numpy(), self._images.memory
        size = self._size(self.program.images)
        self._threads.run(
            [
                lambda share: elementwise.pack(array, memory, size, share.blocks, len(array)),
                *self._forward,
            ],
            len(array),
            self.lanes,
        )
        found = self._value(self.program.logits).tensor()[:, :, 0, 0]  # [blocks, classes, lanes]
        return found.permute(0, 2, 1).reshape(-1, found.shape[1])[: len(array)]

    def gradients(self, logits: Tensor) -> None:
        """Of the parameters, into their vector's; ``logits`` is the gradient with respect to
        these, [B, classes], of the images that went forward last."""
        count, classes = logits.shape
        blocks = -(-count // self.lanes)
        padded = torch.zeros(blocks * self.lanes, classes)
        padded[:count] = logits
        target = self._gradient(self.program.logits).tensor()[:blocks, :, 0, 0]
        target.copy_(padded.view(blocks, self.lanes, classes).permute(0, 2, 1))
        self._threads.run(self._backward, count, self.lanes)
        summed = self.parameters.gradient[: self.parameters.summed]
        torch.sum(torch.from_numpy(self._partial[:blocks]), 0, out=summed)

    def _value(self, value: Value) -> Activation:
        """Where an activation lies, with a halo as wide as convolutions look beyond its edge."""
        if value not in self._values:
            readers = (
                one.padding
                for one in self.program.operations
                if isinstance(one, Convolution) and one.x == value
            )
            self._values[value] = self._new(_form(value, max(readers, default=0)))
        return self._values[value]

    def _new(self, form: Form) -> Activation:
        return Activation(form, self.blocks, self.lanes)

    def _gradient(self, value: Value) -> Activation:
        """Where the gradient with respect to a value lies: where another one's lay, once used."""
        if value in self._in_place:
            return self._gradients.setdefault(value, self._gradient(self._in_place[value]))
        if value not in self._gradients:
            made = next((one for one in self.program.operations if result(one) == value), None)
            halo = max(made.kernel) - 1 - made.padding if isinstance(made, Convolution) else 0
            form = _form(value, halo)
            free = self._free.get(form)
            self._gradients[value] = free.pop() if free else self._new(form)
        return self._gradients[value]

    def _adds(self, value: Value) -> bool:
        """Whether something has been written to the gradient before; from now on it has."""
        before = value in self._written
        self._written.add(value)
        return before

    def _size(self, value: Value) -> tuple[int, int, int, int]:
        return value.channels, value.height, value.width, self.lanes

    def _add(self, operation: Operation) -> Callable[[], None]:
        """Add what computes an operation; gives what adds the way back."""
        if isinstance(operation, Convolution):
            return self._add_convolution(operation)
        if isinstance(operation, Combination):
            return self._add_norm(operation) if operation.norm else self._add_rectifier(operation)
        return self._add_pool(operation)

    def _add_convolution(self, one: Convolution) -> Callable[[], None]:
        x, y, kept = self._value(one.x), self._value(one.y), self.parameters.kept[one.name]
        known = taps.forward(one, kept, x.form)
        size = one.y.channels, one.y.height, one.y.width
        source, tiles = x.every(one.stride), known.tiles(inner=one.stride)
        table, bias = self._table(known), self.parameters.bias(one.name)
        self._forward.append(
            lambda share: convolution.convolve(
                source, y.memory, size, share.blocks, table, bias, False, tiles
            )
        )
        self._longest = max(self._longest, known.longest)
        places = known.segments, known.rounds, known.offsets, known.places.reshape(-1)

        def add_backward() -> None:
            g = self._gradient(one.y)
            self._backward.append(
                lambda share: convolution.weight_gradient(
                    source,
                    g.memory,
                    size,
                    share.blocks,
                    places,
                    self._scratch[share.thread],
                    self._partial,
                    tiles,
                )
            )
            if one.bias:
                at, whole = self.parameters.bias_place(one.name), self._size(one.y)
                sums = self._partial[:, at : at + one.y.channels]
                self._backward.append(
                    lambda share: elementwise.channel_sums(g.memory, whole, share.blocks, sums)
                )
            if one.x != self.program.images:
                self._add_input_gradient(one, g)

        return add_backward

    def _table(self, known: taps.Taps) -> tuple[Any, ...]:
        """Taps with their weights, as kernels take them."""
        values = self.parameters.gathered(known.places.reshape(-1))
        return known.segments, known.rounds, known.offsets, values

    def _add_input_gradient(self, one: Convolution, g: Activation) -> None:
        dx, adds = self._gradient(one.x), self._adds(one.x)
        for phase in taps.backward(one, self.parameters.kept[one.name], g.form):
            if not len(phase.taps) and adds:
                continue
            self._backward.append(
                functools.partial(
                    _convolve,
                    g.memory,
                    dx.every(one.stride, phase.down, phase.right),
                    (one.x.channels, phase.height, phase.width),
                    self._table(phase.taps),
                    np.zeros(one.x.channels, np.float32),
                    adds,
                    phase.taps.tiles(outer=one.stride),
                )
            )

    def _add_norm(self, one: Combination) -> Callable[[], None]:
        assert one.norm is not None
        y, z = self._value(one.y), self._value(one.z)
        r = self._value(one.r) if one.r else y
        size, channels = self._size(one.y), one.y.channels
        gamma, beta = self.parameters.weights(one.norm), self.parameters.bias(one.norm)
        module = self._modules[one.norm]
        saved = np.zeros((2, channels))
        active = np.zeros((self.blocks, *size[:3]) if one.relu else (1, 1, 1, 1), np.uint16)
        running = module.running_mean.numpy(), module.running_var.numpy()
        eps, momentum = float(module.eps), float(module.momentum)
        self._forward += [
            BARRIER,
            lambda share: normalisation.normalise(
                y.memory, r.memory, z.memory, active, size, share.of(channels),
                share.valid, gamma, beta, eps, saved, running, momentum,
                (one.relu, one.r is not None),
            ),
            BARRIER,
        ]  # fmt: skip

        def add_backward() -> None:
            d, dy = self._gradient(one.z), self._gradient(one.y)
            dr = self._gradient(one.r) if one.r else dy
            adds_r = one.r is not None and self._adds(one.r)
            form = (one.relu, one.r is not None, adds_r, self._adds(one.y))
            d_gamma, d_beta = self.parameters.norm_gradients(str(one.norm))
            self._backward += [
                BARRIER,
                lambda share: normalisation.denormalise(
                    y.memory, d.memory, dy.memory, dr.memory, active, size, share.of(channels),
                    share.valid, gamma, saved, d_gamma, d_beta, form,
                ),
                BARRIER,
            ]  # fmt: skip

        return add_backward

    def _add_rectifier(self, one: Combination) -> Callable[[], None]:
        y, z = self._value(one.y), self._value(one.z)
        r = self._value(one.r) if one.r else y
        size = self._size(one.y)
        self._forward.append(
            lambda share: elementwise.rectify(
                y.memory, r.memory, z.memory, size, share.blocks, (one.relu, one.r is not None)
            )
        )

        def add_backward() -> None:
            d, dy = self._gradient(one.z), self._gradient(one.y)
            dr = self._gradient(one.r) if one.r else dy
            adds_y = self._adds(one.y)
            adds_r = one.r is not None and self._adds(one.r)
            form = (one.relu, one.r is not None, adds_r, adds_y)
            self._backward.append(
                lambda share: elementwise.rectify_back(
                    z.memory, d.memory, dy.memory, dr.memory, size, share.blocks, form
                )
            )

        return add_backward

    def _add_pool(self, one: MaxPool | Average) -> Callable[[], None]:
        x, z = self._value(one.x), self._value(one.z)
        size, whole = self._size(one.z), self._size(one.x)
        window = one.window if isinstance(one, MaxPool) else 0
        if window:
            self._forward.append(
                lambda share: elementwise.max_pool(x.memory, z.memory, size, share.blocks, window)
            )
        else:
            self._forward.append(
                lambda share: elementwise.average(x.memory, z.memory, whole, share.blocks)
            )

        def add_backward() -> None:
            d, dx = self._gradient(one.z), self._gradient(one.x)
            adds = self._adds(one.x)
            if window:
                self._backward.append(
                    lambda share: elementwise.max_pool_back(
                        x.memory, z.memory, d.memory, dx.memory, whole, share.blocks, window, adds
                    )
                )
            else:
                self._backward.append(
                    lambda share: elementwise.average_back(
                        d.memory, dx.memory, whole, share.blocks, adds
                    )
                )

        return add_backward


def _in_place(program: Program, but: set[Value]) -> dict[Value, Value]:
    """By result, an operand that nobody else reads: the gradient with respect to it is written
    over that with respect to the result, which is in cache then."""
    operations = program.operations
    read = [value for one in operations for value in operands(one)]
    return {
        one.z: one.y
        for one in operations
        if isinstance(one, Combination) and read.count(one.y) == 1 and one.z not in but
    }


def _convolve(x: Any, y: Any, size: Any, *rest: Any) -> None:
    """A convolution whose last argument is the share of a thread."""
    *known, share = rest
    convolution.convolve(x, y, size, share.blocks, *known)


def _form(value: Value, halo: int) -> Form:
    return Form(value.channels, value.height, value.width, halo)
