"""Tickets on disk hold what survives, and nothing else."""

import pytest
import torch
from safetensors.torch import save

from sanity.pruning.ticket import compress, expand, mask_in


def test_expanding_gives_back_the_masked_weights_and_all_the_rest() -> None:
    mask = {"conv": torch.rand(4, 3, 3, 3) < 0.3}
    state = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4)}
    small = compress(state, mask)
    assert small["conv.weight"].shape == (int(mask["conv"].sum()),)
    whole, found = expand(small)
    assert found.keys() == mask.keys()
    assert torch.equal(found["conv"], mask["conv"])
    assert whole.keys() == state.keys()
    assert torch.equal(whole["conv.weight"], state["conv.weight"] * mask["conv"])
    assert torch.equal(whole["conv.bias"], state["conv.bias"])


@pytest.mark.parametrize("shape", [(1,), (3, 3), (8,), (2, 1, 5)])
@pytest.mark.parametrize("kept", [True, False])
def test_masks_of_all_sizes_come_back(shape: tuple[int, ...], kept: bool) -> None:
    keep = torch.full(shape, kept)
    keep.view(-1)[0] = not kept
    assert torch.equal(mask_in(compress({"a.weight": torch.ones(shape)}, {"a": keep}))["a"], keep)


def test_a_dense_network_is_stored_as_it_is() -> None:
    state = {"conv.weight": torch.randn(4, 3), "pos_weight.mask": torch.ones(2)}
    whole, mask = expand(compress(state, {}))
    assert mask == {}
    assert whole.keys() == state.keys()
    assert torch.equal(whole["conv.weight"], state["conv.weight"])


def test_a_ticket_of_98_percent_is_a_fifteenth_of_its_network_at_most() -> None:
    keep = torch.rand(100, 1000) >= 0.98
    small = save(compress({"a.weight": torch.randn(100, 1000)}, {"a": keep}))
    assert len(small) < 4 * 100 * 1000 / 15
