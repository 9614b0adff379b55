"""Training as PyTorch does it, on any device: the reference of all engines."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.pruning.masks import Mask
from sanity.training.engines.base import Engine, EngineState
from sanity.training.evaluation import autocast
from sanity.training.recipe import Recipe


class Dense(Engine):
    """PyTorch's own dense kernels: pruned weights are computed with, and set to 0 once more."""

    name = "dense"

    def __init__(self, network: nn.Module, recipe: Recipe, mask: Mask) -> None:
        super().__init__(network, recipe, mask)
        self.optimizer = _optimizer(network, recipe)
        self._place_mask()

    def begin(self, lr: float) -> None:
        """Set the optimiser's learning rate, and the network to training."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Forward, backward, SGD, and the mask once more."""
        with autocast(self.recipe, x.device):
            logits = self.logits(x)
        loss = F.cross_entropy(logits.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._prune()
        return loss.detach(), (logits.argmax(1) == y).sum()

    def logits(self, x: Tensor) -> Tensor:
        """The network's forward pass."""
        logits: Tensor = self.network(x)
        return logits

    def move(self, mask: Mask) -> None:
        """The momentum of what was pruned is set to 0: it has gone on to gather."""
        for name, weight in self.masked().items():
            momentum = self.optimizer.state.get(weight, {}).get("momentum_buffer")
            if momentum is not None:
                momentum.masked_fill_(~self.mask[name].to(momentum.device), 0.0)
        self.mask = mask
        self._place_mask()

    def gradients(self) -> dict[str, Tensor]:
        """PyTorch's own, which are dense."""
        found = {name: weight.grad for name, weight in self.masked().items()}
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    def state(self) -> EngineState:
        """Copies on the CPU; there is no momentum before the first step."""
        found = {
            name: self.optimizer.state.get(parameter, {}).get("momentum_buffer")
            for name, parameter in self.network.named_parameters()
        }
        return EngineState(
            network={name: tensor.cpu() for name, tensor in self.network.state_dict().items()},
            momentum={name: buffer.cpu() for name, buffer in found.items() if buffer is not None},
            mask=self.mask,
        )

    def restore(self, state: EngineState) -> None:
        """Load the network, and lay the momentum out in memory as the optimiser would."""
        self.network.load_state_dict(state.network)
        parameters = dict(self.network.named_parameters())
        for name, buffer in state.momentum.items():
            # A copy, laid out in memory as the optimiser would: so it computes the same bits.
            own = torch.empty_like(parameters[name]).detach().copy_(buffer)
            self.optimizer.state[parameters[name]]["momentum_buffer"] = own
        self.mask = state.mask
        self._place_mask()

    def _place_mask(self) -> None:
        """Put the mask where the weights lie, and apply it."""
        masked = self.masked()
        self._weights = [weight.detach() for weight in masked.values()]
        self._keep = [self.mask[name].to(w.device, w.dtype) for name, w in masked.items()]
        self._prune()

    def _prune(self) -> None:
        """Zero what is pruned, in all layers by one fused operation."""
        if self._weights:
            torch._foreach_mul_(self._weights, self._keep)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD as in the paper: weight decay on every parameter, no dampening, one fused step."""
    device = next(network.parameters()).device.type
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device in ("cpu", "cuda"),
    )
