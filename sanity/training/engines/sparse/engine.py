"""Training that computes at kept weights only, on a CPU."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.networks.layers import weights_of
from sanity.pruning.masks import Mask
from sanity.training.engines.base import Engine, EngineState
from sanity.training.engines.compiled import first_use
from sanity.training.engines.program import Program
from sanity.training.engines.sparse.machine import Machine
from sanity.training.engines.sparse.parameters import Parameters
from sanity.training.recipe import Recipe


class Sparse(Engine):
    """Forward pass, gradients and SGD at kept weights alone, by kernels compiled for this CPU.

    ``program`` is what ``network`` computes. The bits do not depend on the number of threads.
    """

    name = "sparse"

    def __init__(self, network: nn.Module, recipe: Recipe, mask: Mask, program: Program) -> None:
        self._program, self._steps, self._given = program, 0, 0
        self._before: tuple[Tensor, Tensor, Tensor] | None = None
        super().__init__(network, recipe, mask)
        self._compact()

    @property
    def network(self) -> nn.Module:
        """The network, brought up to date first."""
        if self._given != self._steps:
            self._parameters.give()
            for module in self._network.modules():
                if isinstance(module, nn.BatchNorm2d) and module.num_batches_tracked is not None:
                    module.num_batches_tracked += self._steps - self._given
            self._given = self._steps
        return self._network

    @network.setter
    def network(self, network: nn.Module) -> None:
        self._network = network

    def _compact(self) -> None:
        """Take the network as it is, under the mask as it is; there is no momentum yet."""
        with torch.no_grad():
            for name, weight in self.masked().items():
                weight.masked_fill_(~self.mask[name], 0.0)
        self._parameters = Parameters(self._network, self._program, self.mask)
        self._optimizer = torch.optim.SGD(
            [self._parameters.theta],
            lr=self.recipe.lr,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            weight_decay=self.recipe.weight_decay,
            fused=True,
        )
        self._machine = Machine(
            self._program, self._network, self._parameters, self.recipe.batch_size
        )

    def begin(self, lr: float) -> None:
        """Set the optimiser's learning rate."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr

    def step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Forward, backward and SGD, by the vector of all that is trained."""
        self._before = x, y, self._parameters.theta.clone()
        self._parameters.gather()
        with first_use(self.name):
            logits = self._machine.logits(x).requires_grad_()
            loss = F.cross_entropy(logits, y)
            self._machine.gradients(*torch.autograd.grad(loss, logits))
        self._optimizer.step()
        self._steps += 1
        return loss.detach(), (logits.argmax(1) == y).sum()

    def move(self, mask: Mask) -> None:
        """Compact parameters and momentum anew."""
        self._go_on(EngineState(self.network.state_dict(), self._momentum(), mask))

    def gradients(self) -> dict[str, Tensor]:
        """By a dense pass of a copy of the network as it was before the last step."""
        if self._before is None:
            return {}
        x, y, theta = self._before
        twin = copy.deepcopy(self.network).train()
        Parameters(twin, self._program, self.mask).give(theta)
        F.cross_entropy(twin(x), y).backward()
        weights = weights_of(twin, self.mask)
        found = {name: weights[name].grad for name in self.mask}
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    def state(self) -> EngineState:
        """Whole tensors, 0 where weights are pruned; no momentum before the first step."""
        network = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        return EngineState(network, self._momentum(), self.mask)

    def restore(self, state: EngineState) -> None:
        """What lies at pruned weights is left there."""
        self._go_on(state)

    def _momentum(self) -> dict[str, Tensor]:
        buffer = self._optimizer.state.get(self._parameters.theta, {}).get("momentum_buffer")
        return {} if buffer is None else self._parameters.spread(buffer)

    def _go_on(self, state: EngineState) -> None:
        self.network.load_state_dict(state.network)
        self.mask = state.mask
        self._compact()
        if state.momentum:
            buffer = self._parameters.collect(state.momentum)
            self._optimizer.state[self._parameters.theta]["momentum_buffer"] = buffer
