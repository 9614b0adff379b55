"""A finished run read back: the network that was judged, exactly, and no code that it names."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import watching
from conftest import TINY, Run
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from sanity import pipeline
from sanity.core.config import PROJECT
from sanity.core.errors import StoreError
from sanity.experiment.experiment import build
from sanity.load import load
from sanity.networks.layers import prunable_weights
from sanity.stages.data import Data
from sanity.store import save_tensors
from sanity.store.entries import seal
from sanity.training.evaluation import evaluate

KEY = "0123456789abcdef0123"
OWN = """
from pathlib import Path

from sanity.archs.resnet import ResNet

Path(__file__).with_name("imported").touch()


class Net(ResNet):
    pass
"""


def test_a_loaded_ticket_has_the_accuracy_of_its_record(run: Run) -> None:
    record = run("pruner=lt", "training.epochs=3")
    ticket = load(record["directory"] / "record.json")
    for name, weight in prunable_weights(ticket.network).items():
        assert bool((weight[~ticket.mask[name]] == 0).all())
    experiment = build(DictConfig(record["config"]))
    device = next(ticket.network.parameters()).device
    data = Data(experiment.dataset, Path(record["config"]["data_dir"]), 0, experiment.check, device)
    _, accuracy = evaluate(ticket.network, data.clean.test, experiment.recipe)
    assert accuracy == record["metrics"]["test_accuracy"]
    assert ticket.record["ticket"] == record["ticket"]


def test_what_a_run_did_not_train_cannot_be_loaded(run: Run) -> None:
    record = run("pruner=random", "until=prune")
    with pytest.raises(StoreError, match="no stage train_ticket"):
        load(record["directory"] / "record.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run with a ticket, its store beside it; not to be changed."""
    place = tmp_path_factory.mktemp("trained")
    data = tmp_path_factory.getbasetemp() / "data"
    where = (f"store_dir={place}/store", f"data_dir={data}", "tracker=none", "threads=1")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        pipeline.run(compose("config", [*TINY, *where, "pruner=magnitude"]), place)
    return place


@pytest.fixture
def path(trained: Path, tmp_path: Path) -> Path:
    """A copy of its record."""
    return Path(shutil.copy(trained / "record.json", tmp_path))


def changed(path: Path, place: str, value: Any) -> Path:
    """The record with another value at a dotted place; None takes it out."""
    record = json.loads(path.read_text())
    *parents, name = place.split(".")
    node = record
    for parent in parents:
        node = node[parent]
    if value is None:
        node.pop(name, None)
    else:
        node[name] = value
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("schema", 1, r"record\.json: has schema 1; this version reads 2$"),
        ("schema", None, r"record\.json: is no record of a run$"),
        ("config", None, r"is damaged \(config is None\)$"),
        ("config", [], r"is damaged \(config is \[\]\)$"),
        ("config.arch", "resnet8", r"is damaged \(config\.arch is resnet8\)$"),
        ("config.arch._target_", None, r"is damaged \(config\.arch\._target_ is None\)$"),
        ("config.arch._target_", "os", r"is damaged \(config\.arch\._target_ is os\)$"),
        ("config.arch.widths", [4, 8, 16], r"is not the network of which the store has weights"),
        ("config.arch.widths", [2**16] * 3, r"is not the network of which the store has weights"),
        ("config.arch.depth", 600000002, r"is damaged \(arch\.depth=600000002 is no ResNet"),
        ("config.arch.block", "${oc.env:HOME}", r"arch\.block=\$\{oc\.env:HOME\} is unknown"),
        ("config.arch.widths", [{"_target_": "os.system"}], r"\(arch\.widths\[0\]\._target_: not"),
        ("config.arch.new", 1, r"is damaged \(arch\.new: no such setting"),
        ("config.store_dir", 5, r"is damaged \(config\.store_dir is 5\)$"),
        (
            "config.store_dir",
            "/nowhere",
            r"^/nowhere/train_ticket/[0-9a-f]{20}: missing; the same command",
        ),
        ("config.store_dir", "x" * 5000, r"is damaged \(config\.store_dir is .*File name too long"),
        ("stages", None, r"is damaged \(stages is None\)$"),
        ("stages.train_ticket", None, r"the run has no stage train_ticket"),
        ("stages.train_ticket", 5, r"is damaged \(the key of its stage train_ticket is None\)$"),
        (
            "stages.train_ticket.key",
            None,
            r"is damaged \(the key of its stage train_ticket is None\)$",
        ),
        (
            "stages.train_ticket.key",
            "../../x",
            r"is damaged \(the key of its stage train_ticket is \.\./\.\./x\)$",
        ),
        (
            "stages.train_ticket.key",
            KEY,
            rf"/train_ticket/{KEY}: missing; the same command computes it anew$",
        ),
    ],
)
def test_what_is_wrong_with_a_record_is_one_line(
    path: Path, place: str, value: Any, message: str
) -> None:
    with pytest.raises(StoreError, match=message) as raised, watching.only_below(path.parent):
        load(changed(path, place, value))
    assert str(raised.value).isprintable()


def test_a_file_that_is_no_record_is_one_line(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff", b"[" * 100_000, b"5", b"[]", b"null"):
        (tmp_path / "record.json").write_bytes(content)
        with pytest.raises(StoreError, match=r"record\.json: is (damaged|no record)"):
            load(tmp_path / "record.json")
    with pytest.raises(StoreError, match=r"cannot be read \(Is a directory\)$"):
        load(tmp_path)
    with pytest.raises(StoreError, match=r"cannot be read \(No such file or directory\)$"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "target",
    ["os.system", "subprocess.Popen", "torch.nn.Linear", "sanityx.Net", "hydra.utils.instantiate"],
)
def test_other_code_that_a_record_names_is_refused(path: Path, target: str) -> None:
    changed(path, "config.arch._target_", target)
    with pytest.raises(StoreError, match=r"which is not of this package; if you know that code"):
        load(path)


@pytest.mark.parametrize(
    "target", ["sanity.cli.entry.start", "sanity.cli.entry.os", "sanity.pruners.lt.LT"]
)
def test_what_is_no_network_of_this_package_is_refused(path: Path, target: str) -> None:
    changed(path, "config.arch._target_", target)
    with pytest.raises(StoreError, match=r"is no network: name a subclass"):
        load(path)


def test_a_network_of_ones_own_is_imported_only_when_its_module_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(mine))
    path = Path(run("pruner=magnitude", "arch._target_=a_net.Net")["directory"]) / "record.json"
    for own in ((), "another", "a", ["a_net.inner"]):
        forget(mine)
        with pytest.raises(StoreError, match=r"its network is a_net\.Net, which is not of this"):
            load(path, own=own)
        assert not (mine / "imported").exists()
    for own in ("a_net", ["other", "a_net"]):
        forget(mine)
        assert type(load(path, own=own).network).__name__ == "Net"
        assert (mine / "imported").exists()


def forget(directory: Path) -> None:
    """As in a process that has not imported ``a_net``."""
    sys.modules.pop("a_net", None)
    (directory / "imported").unlink(missing_ok=True)


@pytest.mark.parametrize("holds_tensors", [False, True])
def test_an_entry_that_holds_no_ticket_is_one_line(run: Run, holds_tensors: bool) -> None:
    path = Path(run("pruner=magnitude")["directory"]) / "record.json"
    record = json.loads(path.read_text())
    key = record["stages"]["train_ticket"]["key"]
    entry = Path(record["config"]["store_dir"]) / "train_ticket" / key
    for file in entry.iterdir():
        file.unlink()
    if holds_tensors:
        save_tensors(entry, "final", {})
    seal(entry, "train_ticket", key, {}, {}, 0.0)
    with pytest.raises(StoreError, match=rf"{key}: holds no ticket of .*record\.json \("):
        load(path)


def test_a_network_of_ones_own_that_is_not_on_the_path_is_no_damage(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a_net.py").write_text(OWN)
    with monkeypatch.context() as on_path:
        on_path.syspath_prepend(str(mine))
        path = Path(run("pruner=magnitude", "arch._target_=a_net.Net")["directory"]) / "record.json"
        (mine / "a_net.py").write_text("")
        forget(mine)
        with pytest.raises(StoreError, match=r"a_net\.Net, but a_net has no Net any more$"):
            load(path, own="a_net")
    forget(mine)
    with pytest.raises(StoreError, match=r"importing a_net failed .*must be on Python's path"):
        load(path, own="a_net")
