"""One step of training: forward, backward, SGD, and the mask once more."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.layers import prunable_weights
from sanity.training.recipe import Recipe


class Stepper:
    """A network, its optimiser and its mask: one call is one step of training."""

    def __init__(self, network: nn.Module, recipe: Recipe, mask: Mapping[str, Tensor]) -> None:
        self.network, self.recipe = network, recipe
        self.optimizer = _optimizer(network, recipe)
        masked = {name: w for name, w in prunable_weights(network).items() if name in mask}
        self._weights = [weight.detach() for weight in masked.values()]
        self._keep = [mask[name].to(w.device, w.dtype) for name, w in masked.items()]
        self._mask = mask
        self._prune()

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch; its mean loss and its number of hits, both still on the device."""
        with autocast(self.recipe, x.device):
            logits = self.network(x)
        loss = F.cross_entropy(logits.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._prune()
        return loss.detach(), (logits.argmax(1) == y).sum()

    @property
    def momentum(self) -> dict[str, Tensor]:
        """The optimiser's momentum by parameter; nothing before the first step."""
        found = {
            name: self.optimizer.state.get(parameter, {}).get("momentum_buffer")
            for name, parameter in self.network.named_parameters()
        }
        return {name: buffer for name, buffer in found.items() if buffer is not None}

    def restore(self, network: Mapping[str, Tensor], momentum: Mapping[str, Tensor]) -> None:
        """Go on from the network's state dict and momentum of an earlier step, from any device."""
        self.network.load_state_dict(network)
        parameters = dict(self.network.named_parameters())
        for name, buffer in momentum.items():
            # A copy, laid out in memory as the optimiser would: so it computes the same bits.
            own = torch.empty_like(parameters[name]).detach().copy_(buffer)
            self.optimizer.state[parameters[name]]["momentum_buffer"] = own

    def drift(self) -> dict[str, int]:
        """How many pruned weights of each layer are not 0, for layers that have any: none should.

        The network's weights as they are now are looked at, not those that were pruned: a network
        may have put others in their place.
        """
        weights = prunable_weights(self.network)
        stray = [
            ((weights[name] != 0) & ~keep.to(weights[name].device)).count_nonzero()
            for name, keep in self._mask.items()
        ]
        counts = torch.stack(stray).tolist() if stray else []
        return {name: n for name, n in zip(self._mask, counts, strict=True) if n}

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


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """The precision that the recipe asks for, where a forward pass is made."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")
