"""Gradients by weights, for scores: 0 where a weight has none."""

from collections.abc import Mapping

import torch
from torch import Tensor


def gradients(
    value: Tensor, weights: Mapping[str, Tensor], create_graph: bool = False
) -> dict[str, Tensor]:
    """The gradient of the scalar ``value`` by each of ``weights``, with ``create_graph`` to go on.

    A weight that ``value`` does not depend on, as far as PyTorch knows, has a gradient of 0.
    """
    found: tuple[Tensor | None, ...] = (None,) * len(weights)
    if value.requires_grad:
        found = torch.autograd.grad(
            value, list(weights.values()), create_graph=create_graph, allow_unused=True
        )
    return {
        name: torch.zeros_like(weight) if gradient is None else gradient
        for (name, weight), gradient in zip(weights.items(), found, strict=True)
    }
