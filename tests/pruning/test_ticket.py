"""Tickets on disk hold what survives, and nothing else."""

import torch

from sanity.pruning.ticket import compress, expand


def test_expanding_gives_back_the_masked_weights_and_all_the_rest() -> None:
    mask = {"conv": torch.rand(4, 3, 3, 3) < 0.3}
    state = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4)}
    small = compress(state, mask)
    assert small["conv.weight"].shape == (int(mask["conv"].sum()),)
    whole = expand(small, mask)
    assert torch.equal(whole["conv.weight"], state["conv.weight"] * mask["conv"])
    assert torch.equal(whole["conv.bias"], state["conv.bias"])
