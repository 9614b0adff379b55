"""Erdős-Rényi-Kernel densities: kernels count as well (Evci et al. 2020, section 3)."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.networks.layers import Layer
from sanity.ratios.er import Er


@dataclass
class Erk(Er):
    """ER with densities in proportion to (n_in + n_out + k_h + k_w) / (n_in n_out k_h k_w)."""

    cites: ClassVar[tuple[str, ...]] = ("evci2020rigging",)

    def weight(self, layer: Layer) -> int:
        """Density times size up to the common scale: the sum of the weight's dimensions."""
        return sum(layer.shape)
