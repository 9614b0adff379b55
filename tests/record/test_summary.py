"""A run's own words for what its ticket costs."""

import pytest

from sanity.record import summary

FOUND = {"macs": 3799, "dense_macs": 40016, "bytes": 2459, "dense_bytes": 11136, "effective": 235}


@pytest.mark.parametrize(
    ("footprint", "said"),
    [
        (FOUND, "3,799 of 40,016 MACs an image, 2.5 of 11.1 kB, 235 of 268 weights effective"),
        (FOUND | {"macs": None, "dense_macs": None, "effective": None}, "2.5 of 11.1 kB"),
        (None, ""),
    ],
)
def test_costs_are_said_as_far_as_they_are_known(
    footprint: dict[str, int | None] | None, said: str
) -> None:
    ticket = {"kept": 268} | ({} if footprint is None else {"footprint": footprint})
    assert summary.costs(ticket) == said
