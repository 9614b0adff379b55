"""What the pipeline expects of a network: its shape and initial weights."""

from typing import ClassVar, Literal

import torch
from torch import nn

from sanity.core.option import Option


class Network(Option, nn.Module):
    """Base of the networks here: images [B, C, H, W] float in, logits [B, classes] out.

    ``input_shape`` is (C, H, W), and ``fan`` names the side of a weight by which its initial values
    are scaled.
    """

    fan: ClassVar[Literal["fan_in", "fan_out"]] = "fan_in"

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.input_shape = input_shape

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Set every parameter and buffer anew, in module order, by draws from ``generator`` alone.

        Convolutions and hidden linear layers get N(0, 2 / fan) weights (He et al. 2015, section
        2.2), the last linear layer, which gives the logits, N(0, 0.01^2); biases start at 0, batch
        norms as the identity with fresh statistics.
        """
        linear = [module for module in self.modules() if isinstance(module, nn.Linear)]
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and module is linear[-1]:
                nn.init.normal_(module.weight, std=0.01, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(
                    module.weight, mode=self.fan, nonlinearity="relu", generator=generator
                )
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
                raise TypeError(f"no rule to initialise {name}: override reset_parameters")
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
