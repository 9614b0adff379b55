"""The request that a sweep's next look is submitted by."""

import os
from pathlib import Path

import pytest
from growing import CHECKED, begun

from sanity.core.errors import SweepError
from sanity.sweep.pace import Capacity
from sanity.sweep.scheduler import Request
from sanity.sweep.slurm import again

REQUEST = Request(Capacity(4, 2, "cuda"), "auto", {"partition": "gpu", "setup": ["true"]})


def test_a_request_is_found_as_it_was_given(tmp_path: Path) -> None:
    sweep = begun(tmp_path / "sweep", *CHECKED)
    assert not again.is_known(sweep)
    again.write(sweep, REQUEST)
    assert again.is_known(sweep)
    with pytest.raises(SweepError, match="does not tell how to submit more"):
        again.read(sweep)  # without a copy of the code nothing goes on
    again.forget(sweep)
    assert not again.is_known(sweep)


def test_a_request_of_another_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = begun(tmp_path / "sweep", *CHECKED)
    again.write(sweep, REQUEST)
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert not again.is_known(sweep)
