"""Networks of others through the whole pipeline: a test for each clause of docs/networks.md."""

import logging
import re
import sys
from pathlib import Path
from typing import Any

import foreign_nets as nets
import processes
import pytest
import resuming
import timm
import torch
import torchvision
from conftest import Compose, Run

from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError, TrainingError
from sanity.core.streams import generator
from sanity.experiment.experiment import build
from sanity.experiment.network import describe
from sanity.experiment.outline import outline
from sanity.experiment.validation import validate
from sanity.load import load
from sanity.pruning import masks
from sanity.pruning.connectivity import is_dead
from sanity.stages.context import Context
from sanity.training.images import Images

REST = ("training=smoke", "dataset.limit=160", "ratio.sparsity=0.5", "device=cpu")
OURS = ("depth", "widths", "block", "image_size", "in_channels")


def own(name: str) -> tuple[str, ...]:
    """Choose a network of :mod:`foreign_nets` for digits."""
    return (f"arch._target_=foreign_nets.{name}", *(f"~arch.{one}" for one in OURS), *REST)


def tensors(record: dict[str, Any]) -> dict[str, torch.Tensor]:
    return resuming.results(record)


@pytest.mark.parametrize("pruner", ["lt", "snip", "grasp", "synflow", "random"])
@pytest.mark.parametrize(
    "name", ["GroupNormed", "Dropping", "Tied", "Attentive", "Residual", "pooled"]
)
def test_every_kind_of_score_prunes_them(run: Run, name: str, pruner: str) -> None:
    few = "pruner.samples_per_class=2"
    settings = {"synflow": "pruner.iterations=3", "lt": "ratio.linear=prune"}
    settings |= {"snip": few, "grasp": few, "random": "ratio=erk"}
    record = run(*own(name), f"pruner={pruner}", settings[pruner], tiny=False)
    ticket = record["ticket"]
    assert record["status"] == "completed"
    assert ticket["sparsity"] == pytest.approx(0.5, abs=0.02)
    found = load(Path(record["directory"]) / "record.json", own="foreign_nets")
    kept = {layer["name"]: layer["kept"] for layer in ticket["layers"]}
    for layer, keep in found.mask.items():
        weight = dict(found.network.named_parameters())[
            layer if layer.endswith("_weight") else f"{layer}.weight"
        ]
        assert int(weight.count_nonzero()) <= kept[layer] == int(keep.sum())


def test_the_record_says_what_was_seen(run: Run) -> None:
    record = run(*own("Tied"), "until=prune", "pruner=random", tiny=False)
    assert record["network"]["classifier"] == ["fc"]
    assert record["network"]["shortcuts"] is False
    assert "neither pruned nor counted: head" in record["network"]["remarks"][0]
    assert record["ticket"]["total"] == 72 + 64 + 80


@pytest.mark.parametrize("name", ["Dropping", "DroppingByPython"])
def test_chance_repeats_and_resumes_to_the_same_bits(
    run: Run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (*own(name), "pruner=snip", "pruner.samples_per_class=2", "checkpoint_every=0")
    stores = (f"store_dir={tmp_path / 'a'}", f"store_dir={tmp_path / 'b'}")
    first = run(*chosen, stores[0], tiny=False)
    torch.manual_seed(7)  # what others have drawn does not matter
    with monkeypatch.context() as patch:
        resuming.disturb(patch, after=3)
        with pytest.raises(resuming.Stopped):
            run(*chosen, stores[1], tiny=False)
    second = run(*chosen, stores[1], tiny=False)
    resuming.assert_same(tensors(first), tensors(second))
    other = run(*chosen, "seed=1", tiny=False)
    assert first["metrics"] != other["metrics"]


def test_chance_that_nobody_can_seed_is_said(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    record = run(*own("DroppingByItself"), "until=prune", "pruner=random", tiny=False)
    assert "do not repeat to the same bits" in record["network"]["remarks"][0]
    assert "do not repeat to the same bits" in caplog.text


def test_weights_drawn_by_numpy_are_those_of_the_seed(configure: Compose) -> None:
    chosen = (*own("DrawnByNumpy"), "pruner=random", "rewind=init")
    initial = build(configure(*chosen)).initial
    one, same, other = (initial.network(generator(seed, "init")).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv.weight"], other["conv.weight"])
    assert not torch.equal(one["fc.bias"], other["fc.bias"])


def test_a_generator_of_its_own_is_refused_and_constant_weights_are_said(
    configure: Compose,
) -> None:
    with pytest.raises(ConfigError, match=r"^arch: built twice .* differs in conv\.weight: it"):
        build(configure(*own("DrawnByItself")))
    remarks = build(configure(*own("Constant"))).blueprint.remarks
    assert "its initial weights are the same for every seed" in remarks


def test_healthy_networks_are_not_dead_and_dead_ones_are(configure: Compose) -> None:
    for name in ("GroupNormed", "Attentive", "Residual", "Tied"):
        experiment = build(configure(*own(name)))
        shape = experiment.input_shape
        mask = {
            one.name: torch.ones(one.shape, dtype=torch.bool) for one in experiment.blueprint.layers
        }
        assert is_dead(experiment.factory, mask, shape) is False
        mask["fc"].zero_()
        assert is_dead(experiment.factory, mask, shape) is True
    unseen = build(configure(*own("Unseen")))
    mask = masks.full(unseen.blueprint)
    assert is_dead(unseen.factory, mask, unseen.input_shape) is None


def test_what_cannot_be_judged_is_said_and_trained(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    record = run(*own("Unseen"), "pruner=random", "ratio=uniform", tiny=False)
    assert record["status"] == "completed"
    assert "cannot be judged" in caplog.text


def test_ratios_by_depth_refuse_what_they_mean_nothing_for(configure: Compose) -> None:
    smart = ("pruner=random", "ratio=smart", "ratio.sparsity=0.5")

    def refused(*overrides: str) -> str:
        with pytest.raises(ConfigError) as caught:
            validate(build(configure(*overrides)))
        return str(caught.value)

    assert "fc stands before conv in the network" in refused(*own("Backwards"), *smart)
    unseen = refused(*own("Unseen"), *smart)
    assert unseen.startswith("ratio=smart: whether shortcuts bypass layers of the network cannot")
    validate(build(configure(*own("Unseen"), *smart, "ratio.shortcuts=false")))
    validate(build(configure(*own("Backwards"), "pruner=random", "ratio=erk")))


def test_shortcuts_decide_the_smart_ratio_of_others(configure: Compose) -> None:
    def kept(*overrides: str) -> dict[str, int | None]:
        smart = ("pruner=random", "ratio=smart", "ratio.sparsity=0.8")
        experiment = build(configure(*own("Residual"), *smart, *overrides))
        return dict(experiment.method.allocate(experiment.blueprint, {}).kept)

    assert kept() == kept("ratio.shortcuts=true") != kept("ratio.shortcuts=false")


def test_scores_that_say_nothing_are_named_or_refused(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    snip = ("pruner=snip", "pruner.samples_per_class=2", "until=prune")
    record = run(*own("ZeroGamma"), *snip, tiny=False)
    assert record["ticket"]["ties"]["flat"] == ["conv"]
    assert "all weights have the same score in conv" in caplog.text
    with pytest.raises(TrainingError, match="all scores are 0, so that only the order"):
        run(*own("ZeroHead"), *snip, tiny=False)


@pytest.mark.parametrize("pruner", ["snip", "grasp", "synflow"])
def test_weights_without_a_gradient_have_the_score_0(run: Run, pruner: str) -> None:
    few = "pruner.iterations=2" if pruner == "synflow" else "pruner.samples_per_class=2"
    record = run(
        *own("Unseen"), f"pruner={pruner}", few, "ratio=uniform", "until=prune", tiny=False
    )
    assert record["ticket"]["ties"]["flat"] == ["conv"]


def test_functions_that_say_what_they_return_are_networks(configure: Compose) -> None:
    assert build(configure(*own("pooled"))).blueprint.names == ["conv", "fc"]
    with pytest.raises(ConfigError, match=r"unsaid: is no network: name a subclass"):
        build(configure(*own("unsaid")))
    with pytest.raises(ConfigError, match=r"liar: gave a str, no network"):
        build(configure(*own("liar")))


def test_a_weight_under_two_names_is_pruned_under_both(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores keep the second name whole; what is evaluated and loaded is the ticket."""
    seen: list[float] = []
    original = Context.accuracy

    def watched(context: Context, network: torch.nn.Module, images: Images) -> float:
        weights = dict(network.named_parameters())
        seen.append(float((weights["first.weight"] == 0).float().mean()))
        return original(context, network, images)

    monkeypatch.setattr(Context, "accuracy", watched)
    record = run(*own("Tied"), "pruner=random", "ratio=uniform", "ratio.linear=0.5", tiny=False)
    assert seen == [pytest.approx(0.5, abs=0.05)]
    found = load(Path(record["directory"]) / "record.json", own="foreign_nets")
    weight = dict(found.network.named_parameters())["first.weight"]
    assert torch.equal(weight != 0, found.mask["first"])


READING = """
from pathlib import Path

import torch
from foreign_nets import Pooled


class Reading(Pooled):
    def __init__(self, num_classes=10, channels=1):
        super().__init__(num_classes, channels)
        self.load_state_dict(torch.load(Path(__file__).with_name("begin.pth")))
"""


def test_files_that_a_network_reads_by_itself_enter_its_keys(
    configure: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "reading_net.py").write_text(READING)
    chosen = tuple(one.replace("foreign_nets.", "reading_net.") for one in own("Reading"))
    found = []
    for _ in range(2):
        torch.save(nets.Pooled().state_dict(), tmp_path / "begin.pth")
        outline.cache_clear()  # as a new process has it
        found.append(build(configure(*chosen)))
    assert found[0].ids.arch != found[1].ids.arch
    assert "its initial weights are the same for every seed" in found[0].blueprint.remarks


def test_weights_that_a_librarys_function_loads_enter_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", _no_network)
    (tmp_path / "checkpoints").mkdir()
    arch = {"_target_": "torchvision.models.resnet18", "weights": "DEFAULT"}
    found = []
    for _ in range(2):
        state = torchvision.models.resnet18().state_dict()
        torch.save(state, tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
        outline.cache_clear()
        found.append(describe(arch, 0, 3, 32, 1000).identity)
    assert found[0] != found[1]


def resnet18(tmp_path: Path) -> Path:
    """One set of weights for all three."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.resnet18(num_classes=10)
        network.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def test_a_resnet18_is_the_same_whoever_made_it(run: Run, tmp_path: Path) -> None:
    chosen = (
        f"arch.init_from={resnet18(tmp_path)}",
        *("dataset.limit=40", "training=smoke", "training.epochs=1", "device=cpu"),
        *("training.engine=dense", "pruner=snip", "pruner.samples_per_class=1"),
        *("ratio.sparsity=0.9", "threads=1"),
    )
    archs = (
        ("arch=resnet18", "arch.stem=imagenet", "arch.in_channels=1"),
        ("arch=torchvision", "arch.name=resnet18"),
        ("arch=timm", "arch.name=resnet18"),
    )
    records = []
    for arch in archs:
        for ratio in ("global", "smart"):
            records.append(run(*arch, *chosen, f"ratio={ratio}", tiny=False))
    for number in (0, 1):
        ours, *others = records[number::2]
        for record in others:
            assert record["ticket"]["digest"] == ours["ticket"]["digest"]
            assert record["ticket"]["layers"] == ours["ticket"]["layers"]
            assert record["metrics"] == ours["metrics"]


def test_pretrained_weights_begin_a_run_and_enter_its_keys(
    configure: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with torch.random.fork_rng(devices=[]):
        network = torchvision.models.resnet18()
    file = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), file)
    chosen = ("arch=torchvision", "pruner=random", "dataset=cifar10")
    caplog.set_level(logging.INFO)
    plain = build(configure(*chosen))
    begun = build(configure(*chosen, f"arch.weights={file}"))
    assert plain.ids.arch != begun.ids.arch
    first, other = (begun.initial.network(generator(seed, "init")).state_dict() for seed in (0, 1))
    assert torch.equal(first["conv1.weight"], network.state_dict()["conv1.weight"])
    assert torch.equal(first["layer4.1.bn2.bias"], other["layer4.1.bn2.bias"])
    assert not torch.equal(first["fc.weight"], other["fc.weight"])
    assert "drawn anew, since shapes differ: fc.weight, fc.bias" in caplog.text
    small = build(configure(*chosen, "arch.stem=cifar", f"arch.weights={file}"))
    drawn = small.initial.network(generator(0, "init")).state_dict()
    assert drawn["conv1.weight"].shape == (64, 3, 3, 3)
    assert torch.equal(drawn["layer1.0.conv1.weight"], first["layer1.0.conv1.weight"])
    grey = build(configure("arch=torchvision", f"arch.weights={file}", "dataset=fashion_mnist"))
    summed = grey.initial.network(generator(0, "init")).state_dict()["conv1.weight"]
    torch.testing.assert_close(summed, first["conv1.weight"].sum(dim=1, keepdim=True))
    with torch.no_grad():
        network.fc.bias.add_(1)
    torch.save(network.state_dict(), file)
    assert build(configure(*chosen, f"arch.weights={file}")).ids.arch != begun.ids.arch


def test_the_librarys_own_weights_are_taken_from_its_cache(
    configure: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", _no_network)
    chosen = ("arch=torchvision", "arch.weights=DEFAULT", "dataset=cifar10", "pruner=random")
    with pytest.raises(ConfigError, match=r"arch\.weights=DEFAULT: https://.* cannot be fetched"):
        build(configure(*chosen))
    place = tmp_path / "checkpoints"
    torch.save(torchvision.models.resnet18().state_dict(), place / "resnet18-f37072fd.pth")
    assert "weights" in build(configure(*chosen)).ids.arch


def _no_network(*args: object, **kwargs: object) -> None:
    raise OSError("Name or service not known")


def test_timm_starts_from_a_file_of_its_own(configure: Compose, tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", num_classes=7)
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    chosen = ("arch=timm", "arch.name=resnet10t", f"arch.weights={file}", "dataset=cifar10")
    begun = build(configure(*chosen, "pruner=random")).initial.network(generator(0, "init"))
    assert torch.equal(
        begun.state_dict()["layer1.0.conv1.weight"], network.state_dict()["layer1.0.conv1.weight"]
    )
    assert begun.state_dict()["fc.weight"].shape[0] == 10


WRONG = {
    "torchvision's name": (["arch=torchvision", "arch.name=resnet19"], "near it are resnet"),
    "timm's name": (["arch=timm", "arch.name=resnet19"], "timm has no classifier of that name"),
    "timm's tag": (["arch=timm", "arch.name=resnet18.no"], "has no classifier of that name"),
    "a stem": (["arch=torchvision", "arch.name=vgg11", "arch.stem=cifar"], "is for ResNets"),
    "another stem": (["arch=torchvision", "arch.stem=small"], "must be imagenet or cifar"),
    "a size": (["arch=torchvision", "arch.name=vit_b_16"], "for images of 8 x 8"),
    "a setting": (["arch=torchvision", "+arch.settings.foo=1"], "arch.name=resnet18: cannot"),
    "a file": (["arch=torchvision", "arch.weights=no.pth"], "no such file, and no weights of"),
    "timm's file": (["arch=timm", "arch.weights=no.pth"], "no such file; choose null, DEFAULT"),
    "weights of a number": (["arch=torchvision", "arch.weights=3"], "must be null, DEFAULT"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_of_libraries_are_one_line(configure: Compose, case: str) -> None:
    overrides, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as caught:
        build(configure(*overrides))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("arch.")


def test_both_ways_of_initial_weights_at_once_are_refused(
    configure: Compose, tmp_path: Path
) -> None:
    file = resnet18(tmp_path)
    with pytest.raises(ConfigError, match="both name initial weights: choose one"):
        build(configure("arch=torchvision", f"arch.weights={file}", f"arch.init_from={file}"))


def test_the_documented_network_runs(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "networks.md").read_text()
    code, yaml = re.findall(r"```(?:python|yaml)\n(.*?)```", text, re.DOTALL)
    mine = tmp_path / "mine"
    (mine / "arch").mkdir(parents=True)
    (mine / "my_net.py").write_text(code)
    (mine / "arch" / "mine.yaml").write_text(yaml)
    wide = re.sub(r"_target_: .*", "_target_: my_net.wide", yaml).replace("width: 16\n", "")
    (mine / "arch" / "wide.yaml").write_text(wide)
    for arch in ("mine", "wide"):
        done = processes.run(
            [
                *(
                    sys.executable,
                    str(PROJECT / "run.py"),
                    "--config-dir",
                    str(mine),
                    f"arch={arch}",
                ),
                *("pruner=snip", "ratio.sparsity=0.9", "training=smoke", "dataset.limit=160"),
                *("device=cpu", "tracker=none"),
            ],
            tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "weights kept" in done.stdout
