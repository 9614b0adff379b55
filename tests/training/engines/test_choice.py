"""Which engine trains a ticket: the one asked for, or the faster one, or the one that can."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run, reused
from networks import mask_of, network
from torch import Tensor

from sanity.core.errors import ConfigError
from sanity.training import engines
from sanity.training.engines import compiled, trial
from sanity.training.engines.program import program
from sanity.training.recipe import Recipe

AUTO = Recipe(batch_size=20)
SPARSE = Recipe(batch_size=20, engine="sparse")
MANY = 10**6


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    place = tmp_path / "trials.json"
    monkeypatch.setattr(trial, "_remembered", lambda: place)
    return place


def chosen(recipe: Recipe, steps: int = MANY, name: str = "resnet") -> str:
    found, shape = network(name)
    return engines.choose(found, recipe, mask_of(found), shape, steps).name


def pretend(
    monkeypatch: pytest.MonkeyPatch, dense: float, sparse: float, fused: float = 0.5
) -> list[int]:
    """Let trials take so long; returns a list that grows with each."""
    made: list[int] = []

    def times(names: list[str], *_: Any) -> dict[str, float]:
        made.append(1)
        known = {"dense": dense, "sparse": sparse, "fused": fused}
        return {name: known[name] for name in names}

    monkeypatch.setattr(trial, "_times", times)
    return made


def test_the_faster_one_is_taken_and_told_once_a_kind(
    remembered: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = pretend(monkeypatch, 0.3, 0.1)
    assert [chosen(AUTO), chosen(AUTO)] == ["sparse", "sparse"]
    assert len(made) == 1
    assert "auto: sparse; by a trial, times its time: dense 3.0, fused 5.0" in caplog.text
    made = pretend(monkeypatch, 0.1, 0.2)
    assert chosen(AUTO) == "sparse"  # as this machine remembers
    assert chosen(AUTO, name="vgg") == "dense"
    assert len(made) == 1
    assert "auto: dense; by a trial, times its time: fused 5.0, sparse 2.0" in caplog.text


def test_tickets_that_cost_about_the_same_are_tried_once(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pretend(monkeypatch, 0.3, 0.1)
    found, shape = network("resnet")
    for density, tried in ((0.3, 2), (0.6, 4)):  # at most two kinds, where the border lies between
        for seed in range(10):
            engines.choose(found, AUTO, mask_of(found, density, seed), shape, MANY)
        assert tried // 2 <= len(made) <= tried


def test_trials_end_early_where_one_is_far_ahead() -> None:
    assert trial._decided({"dense": [0.2, 0.3], "fused": [0.3], "sparse": [0.1, 0.1]})
    assert not trial._decided({"dense": [0.12], "fused": [0.3], "sparse": [0.1]})


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1}', '{"a": ["x", 2]}'])
def test_a_damaged_memory_of_trials_is_no_harm(
    remembered: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    remembered.write_text(content)
    made = pretend(monkeypatch, 0.3, 0.1)
    assert [chosen(AUTO), chosen(AUTO), len(made)] == ["sparse", "sparse", 1]


def test_another_engine_is_taken_where_it_is_clearly_faster(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 0.100, 0.098, fused=0.099)
    assert chosen(AUTO) == "dense"
    remembered.unlink()
    pretend(monkeypatch, 0.100, 0.096, fused=0.099)
    assert chosen(AUTO) == "sparse"


def test_what_is_trained_in_seconds_is_not_tried(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pretend(monkeypatch, 0.3, 0.1)
    assert [chosen(AUTO, steps=10), len(made), remembered.exists()] == ["dense", 0, False]


def test_a_trial_measures_and_changes_nothing(remembered: Path) -> None:
    found, shape = network("resnet")
    before = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    random = torch.get_rng_state()
    names = ["dense", "fused", "sparse"]
    seconds = trial._times(names, found, AUTO, mask_of(found), shape)
    assert list(seconds) == names
    assert all(0 < one < 60 for one in seconds.values())
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], one) for name, one in found.state_dict().items())


def test_a_network_of_ones_own_is_trained_sparse_only_where_it_is_asked_for(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced once, it may still do something else each time: the first steps are compared."""
    pretend(monkeypatch, 0.3, 0.1)
    assert chosen(AUTO, name="preactivation") == "dense"
    assert chosen(SPARSE, name="preactivation") == "sparse"
    found, shape = network("resnet")

    class Sly(type(found)):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if isinstance(x, torch.fx.Proxy) else x.abs())

    found.__class__ = Sly
    assert engines.choose(found, AUTO, mask_of(found), shape, MANY).name == "dense"
    with pytest.raises(ConfigError, match="does more than its forward pass shows"):
        engines.choose(found, SPARSE, mask_of(found), shape)


def test_tracing_changes_neither_the_network_nor_the_random_numbers() -> None:
    found, shape = network("resnet")

    class Counting(type(found)):  # type: ignore[misc]
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            torch.rand(1)
            return super().forward(x)

    found.__class__ = Counting
    random, training = torch.get_rng_state(), found.eval().training
    program(found, shape)
    assert torch.equal(random, torch.get_rng_state())
    assert (vars(found).get("calls", 0), found.training) == (0, training)


def test_a_home_that_takes_nothing_is_no_harm(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    made = pretend(monkeypatch, 0.3, 0.1)
    monkeypatch.setattr(trial, "write_json", full)
    assert [chosen(AUTO), chosen(AUTO), len(made)] == ["sparse", "sparse", 2]


def test_compiled_kernels_are_nothing_that_keys_should_tell(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read while a ticket by a pruner of one's own is trained, whose files are asked about."""
    (tmp_path / "mine_pruner.py").write_text(
        "from sanity.pruners.magnitude import Magnitude\n\n\nclass Mine(Magnitude):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    record = run(
        "pruner=magnitude", "pruner._target_=mine_pruner.Mine", "training.engine=sparse",
        "ratio.sparsity=0.5",
    )  # fmt: skip
    store, key = Path(record["config"]["store_dir"]), record["stages"]["train_ticket"]["key"]
    facts = json.loads((store / "train_ticket" / key / "manifest.json").read_text())["facts"]
    assert facts["computed_by"]["engine"] == "sparse"
    assert "unknown_to_key" not in facts


def test_dense_networks_and_other_settings_are_trained_dense(
    remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, 0.3, 0.1)
    found, shape = network("resnet")
    assert engines.choose(found, AUTO, None, shape, MANY).name == "dense"
    assert engines.choose(found, SPARSE, None, shape, MANY).name == "dense"
    assert chosen(Recipe(batch_size=20, engine="dense")) == "dense"
    assert chosen(Recipe(batch_size=20, precision="bf16")) == "dense"
    pretend(monkeypatch, 0.3, 0.1, fused=0.05)
    remembered.unlink()
    assert engines.choose(found, AUTO, None, shape, MANY).name == "fused"
    assert chosen(AUTO) == chosen(Recipe(batch_size=20, precision="bf16")) == "fused"
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert chosen(AUTO) == "dense"


NUMBA = "it needs numba: pip install '.[sparse]'"
REFUSED = [
    ("sparse", "it computes in fp32", ["training.precision=bf16"]),
    ("sparse", NUMBA, []),
    ("fused", NUMBA, []),
]


@pytest.mark.parametrize(("engine", "message", "options"), REFUSED)
def test_an_engine_is_refused_before_anything_starts(
    run: Run, engine: str, message: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not options:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"training\.engine={engine}: ") as caught:
        run("pruner=snip", f"training.engine={engine}", *options)
    assert message in str(caught.value)
    assert "choose dense or auto" in str(caught.value)


def test_the_engine_is_in_no_key_and_in_every_record(run: Run) -> None:
    sparse = run("pruner=snip", "training.engine=sparse")
    dense = run("pruner=snip", "training.engine=dense")
    assert sparse["stages"]["train_ticket"]["computed_by"]["engine"] == "sparse"
    assert "train_ticket" in reused(dense)
    assert dense["stages"]["train_ticket"]["computed_by"]["engine"] == "sparse"
    assert dense["metrics"] == sparse["metrics"]


@pytest.mark.parametrize("has", [True, False])
def test_a_cpu_without_bf16_is_told_of(
    has: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has, "avx2": True})
    found, shape = network("resnet")
    engines.choose(found, Recipe(batch_size=20, precision="bf16"), None, shape)
    assert ("training.precision=bf16: this CPU has no instructions for it" in caplog.text) != has
    caplog.clear()
    engines.choose(found, AUTO, None, shape)
    assert not caplog.text


def test_kernels_are_kept_where_their_code_says() -> None:
    place = compiled.cache_directory()
    assert place.name.startswith("kernels-")
    assert place.parent.name == "sanity" or place.name.startswith("sanity-kernels-")
