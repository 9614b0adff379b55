"""Work shared by threads, of OpenMP and of one's own."""

import threading

import pytest
import torch

from sanity.training.engines import team


@pytest.fixture(params=["openmp", "own"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "own":
        monkeypatch.setattr(team, "_openmp", lambda: None)
    elif team._openmp() is None:
        pytest.skip("PyTorch has no OpenMP of that name here")
    return str(request.param)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_all_threads_work_at_once(kind: str, threads: int) -> None:
    together, seen = threading.Barrier(threads, timeout=20), set[tuple[int, int, int]]()

    def work(thread: int, count: int) -> None:
        together.wait()  # nobody gets past it alone
        seen.add((thread, count, threading.get_ident()))

    team.run(work, threads)
    assert {(thread, count) for thread, count, _ in seen} == {(n, threads) for n in range(threads)}
    assert len({ident for *_, ident in seen}) == threads


@pytest.mark.parametrize("guilty", [0, 1])
def test_what_a_thread_raises_is_raised(kind: str, guilty: int) -> None:
    ended: list[int] = []

    def work(thread: int, count: int) -> None:
        if thread == guilty:
            raise KeyError(thread)
        ended.append(thread)

    with pytest.raises(KeyError):
        team.run(work, 2)
    assert ended == [1 - guilty]


def test_pytorch_goes_on_with_its_threads(kind: str) -> None:
    before = torch.get_num_threads()
    a = torch.randn(400, 400, generator=torch.Generator().manual_seed(0))
    torch.set_num_threads(2)
    try:
        expected = a @ a
        for _ in range(20):
            team.run(lambda thread, count: None, 2)
            assert torch.equal(a @ a, expected)
    finally:
        torch.set_num_threads(before)
