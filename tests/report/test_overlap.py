"""Masks compared with each other and with chance, from what the store still has."""

import numpy as np
import pytest
from conftest import Run

from sanity.report.data.overlap import Masks, compare, overlaps
from sanity.report.figures import overlaps as figures
from sanity.report.report import make


def masks(*keeps: list[int]) -> Masks:
    return {f"layer{n}": np.array(keep, dtype=bool) for n, keep in enumerate(keeps)}


def test_share_and_chance_by_hand() -> None:
    first = masks([1, 1, 0, 0], [1, 0])
    second = masks([1, 0, 1, 0], [1, 1])
    # Both keep one weight of each layer, and the smaller mask has three.
    share, chance = compare(first, second)
    assert share == pytest.approx(2 / 3)
    # 2 x 2 / 4 in the first layer, 1 x 2 / 2 in the second: 2 of 3 again.
    assert chance == pytest.approx(2 / 3)
    assert compare(first, first)[0] == 1
    assert compare(first, masks([0, 0, 0, 0], [0, 0])) == (0.0, 0.0)


def test_methods_of_real_runs_and_their_picture(run: Run) -> None:
    arms = ["pruner=magnitude", "pruner=snip", "pruner=random ratio=uniform"]
    records = [run(*arm.split(), "until=prune", f"seed={s}") for arm in arms for s in (0, 1)]
    report = make([records[0]["directory"].parent])
    (found,) = overlaps(report.cells)
    assert [cell.method for cell in found.cells] == ["magnitude", "snip", "random"]
    assert found.seeds == 2
    assert np.allclose(np.diag(found.share), 1)
    assert np.allclose(found.share, found.share.T)
    # A random mask meets the others as often as chance has it; SNIP, which scores by the weights
    # too, meets the largest ones more often.
    assert found.share[0, 2] == pytest.approx(found.chance[0, 2], rel=0.15)
    assert found.share[0, 1] > 1.3 * found.chance[0, 1]
    (panel,) = figures.panels(report)
    assert f"{100 * found.share[1, 0]:.0f}%" in panel.svg
    assert "magnitude" in panel.svg


def test_a_store_that_is_gone_costs_the_picture_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [run(f"pruner={pruner}", "until=prune") for pruner in ("snip", "magnitude")]
    report = make([records[0]["directory"].parent])
    from sanity.report.data import overlap

    for cell in report.cells:
        for one in overlap._runs(cell).values():
            overlap._path(one).unlink()
    assert list(overlaps(report.cells)) == []
    assert list(figures.panels(report)) == []
