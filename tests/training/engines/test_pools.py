"""Max-pools keep what is no number, and clear the gradient of pixels that no window has."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("numba")

from sanity.training.engines.compiled import cpu
from sanity.training.engines.sparse import elementwise
from sanity.training.engines.sparse.lanes import Activation, Form

LANES, WINDOW = cpu().lanes, 3


def laid_out(images: Tensor) -> Activation:
    found = Activation(Form(*images.shape[1:]), 1, LANES)
    found.tensor().copy_(images[None].movedim(1, -1))
    return found


@pytest.mark.parametrize("adds", [False, True])
def test_pools_are_those_of_pytorch(adds: bool) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(LANES, 2, 7, 8, generator=random)  # a row and two columns are in no window
    x[1, 0, 1, 1] = torch.nan
    x.requires_grad_()
    z = F.max_pool2d(x, WINDOW)
    d = torch.randn(z.shape, generator=random)
    (dx,) = torch.autograd.grad(z, x, d)
    before = torch.randn(x.shape, generator=random)
    source, target = laid_out(x.detach()), laid_out(torch.zeros_like(z))
    gradient, found = laid_out(d), laid_out(before)
    elementwise.max_pool(source.memory, target.memory, (*z.shape[1:], LANES), (0, 1), WINDOW)
    elementwise.max_pool_back(
        source.memory, target.memory, gradient.memory, found.memory,
        (*x.shape[1:], LANES), (0, 1), WINDOW, adds,
    )  # fmt: skip
    np.testing.assert_array_equal(target.tensor()[0].movedim(-1, 0), z.detach())
    expected, clean = dx + before if adds else dx, torch.ones_like(dx, dtype=torch.bool)
    clean[1, 0, :3, :3] = False  # of a window with a NaN one pixel takes the gradient, whichever
    result = found.tensor()[0].movedim(-1, 0)
    np.testing.assert_array_equal(result[clean], expected[clean])
    share = (result - before if adds else result)[1, 0, :3, :3]
    assert float(share.sum()) == pytest.approx(float(d[1, 0, 0, 0]), abs=1e-5)
