"""Tests on a real SLURM: a cluster a session, or a worker, and no job left by any test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm.cluster import OTHERS, Cluster, missing, started

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("slurm")


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """Two nodes with four CPUs and two fake GPUs each; requeued jobs wait five seconds."""
    if reason := missing():
        if os.environ.get("SANITY_REQUIRE_SLURM"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with started(requeue_delay=5) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _on_the_cluster(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every command of a test, and of what it calls, reaches the cluster; its jobs end with it."""
    for name in [name for name in os.environ if name.startswith(OTHERS)]:
        monkeypatch.delenv(name)
    for name, text in slurm.environment().items():
        monkeypatch.setenv(name, text)
    yield
    slurm.cancel()
