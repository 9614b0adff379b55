"""A sweep of a thousand runs is reported while one waits."""

import time
from pathlib import Path

import pytest
import simulated
from simulated import Arm, seeds

from sanity.report.__main__ import main

CHECKS = ("none", "corrupted_data", "rearrange", "shuffle_weights", "reinit")
SECONDS = 20


def thousand() -> list[Arm]:
    arms: list[Arm] = []
    for number, pruner in enumerate(("lt", "snip", "grasp", "magnitude", "random")):
        for sparsity in (0.5, 0.8, 0.9, 0.95):
            for check in CHECKS:
                for arch in ("resnet8", "vgg11"):
                    values = {"pruner": pruner, "sparsity": sparsity, "check": check, "arch": arch}
                    arms += seeds(5, -number, 0.3, len(arms), **values)
    return arms


@pytest.mark.slow
def test_a_thousand_runs(tmp_path: Path) -> None:
    arms = thousand()
    assert len(arms) == 1000
    simulated.write(tmp_path, arms, epochs=160)
    # The processor's time: what else the machine does at the moment is not to be tested.
    start = time.process_time()
    assert main([str(tmp_path)]) == 0
    assert time.process_time() - start < SECONDS
    assert "1000 runs" in (tmp_path / "report.html").read_text()
