"""Erdős-Rényi-Kernel densities: kernels count as well (Evci et al. 2020, section 3)."""

from dataclasses import dataclass

from sanity.networks.layers import Layer
from sanity.ratios.er import Er


@dataclass
class Erk(Er):
    """Layer density in proportion to (n_in + n_out + k_h + k_w) / (n_in n_out k_h k_w).

    Layers that would pass density 1 stay dense and the others share what is left. The counts
    sum to the budget.
    """

    def weight(self, layer: Layer) -> int:
        """Density times size up to the common scale: the sum of the weight's dimensions."""
        return sum(layer.shape)
