"""SynFlow: iterative conservation of synaptic flow, without data (Tanaka et al. 2020)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import nn

from sanity.pruners.base import MOST_ITERATIONS, Pruner, Scores, Scoring
from sanity.pruning.gradients import gradients


def make_positive(network: nn.Module) -> nn.Module:
    """``network`` in double precision with its parameters and buffers replaced by their absolutes.

    It becomes a linear map for positive inputs. Outputs grow and shrink geometrically with depth,
    which single precision does not hold for deep networks.
    """
    if any(parameter.device.type == "mps" for parameter in network.parameters()):
        network = network.cpu()  # Apple's GPUs have no double precision
    network = network.double()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.abs_()
    return network


@dataclass
class SynFlow(Pruner):
    """Keeps the weights that carry most of the flow from input to output, in small steps.

    Batch norms are in evaluation mode, as in the paper's experiments; ``iterations`` lead along
    an exponential schedule to the sparsity.
    """

    cites = ("tanaka2020pruning",)

    iterations: Annotated[int, Ge(1), Le(MOST_ITERATIONS)] = 100

    def score(self, scoring: Scoring) -> Scores:
        """|w * dR/dw|, R the sum of outputs for ones as input (Tanaka et al. 2020, section 6)."""
        network = make_positive(scoring.network.eval())
        weights = scoring.weights
        first = next(iter(weights.values()))
        ones = torch.ones(1, *scoring.input_shape, dtype=first.dtype, device=first.device)
        flow = gradients(network(ones).sum(), weights)
        return {name: (weight.detach() * flow[name]).abs() for name, weight in weights.items()}
