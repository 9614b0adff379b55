from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from sanity.networks.blueprint import blueprint
from sanity.networks.build import skeleton

OPTIONS = sorted((Path(__file__).parents[2] / "conf" / "arch").glob("*.yaml"))
DATASET = {"num_classes": 7, "channels": 1, "image_size": 16}


def composed(option: Path) -> DictConfig:
    cfg = OmegaConf.create({"dataset": DATASET, "arch": OmegaConf.load(option)})
    arch = cfg.arch
    assert arch.pop("init_from") is None
    assert arch.pop("weights", None) is None
    assert isinstance(arch, DictConfig)
    return arch


def test_all_networks_of_the_design_are_offered() -> None:
    names = {option.stem for option in OPTIONS}
    assert {f"resnet{depth}" for depth in (8, 20, 32, 44, 56, 110)} <= names
    assert {f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")} <= names
    assert {"resnet18", "resnet34", "resnet50", "wrn22_2", "wrn28_10"} <= names
    assert {"lenet300_100", "mlp", "lenet5", "conv2", "conv4", "conv6"} <= names


def name_and_layers(arch: DictConfig) -> tuple[str, int]:
    """What a network of these settings is called, and its layers without those of shortcuts."""
    family = arch._target_.rsplit(".", 1)[-1]
    if family == "VGG":
        return f"vgg{arch.depth}{'_bn' if arch.batch_norm else ''}", arch.depth - 2
    if family == "WideResNet":
        return f"wrn{arch.depth}_{arch.width}", arch.depth - 2
    if family == "ConvNet":
        return f"conv{arch.depth}", arch.depth + 3
    if family == "network":  # of a library
        return arch._target_.split(".")[-2], 50 if arch.name.startswith("vit") else 18
    if family == "LeNet5":
        return "lenet5", 4
    if family == "MLP":
        return "lenet300_100" if arch.hidden == [300, 100] else "mlp", len(arch.hidden) + 1
    return f"resnet{arch.depth}", arch.depth


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.stem)
def test_option_builds_the_network_it_names_for_the_data_set(option: Path) -> None:
    arch = composed(option)
    name, count = name_and_layers(arch)
    assert option.stem == name
    network = skeleton(instantiate(arch, _partial_=True))
    layers = blueprint(network, (1, 16, 16)).layers
    inputs = DATASET["channels"] * (16**2 if layers[0].kind == "linear" else 1)
    assert layers[0].shape[1] == inputs
    assert layers[-1].shape[0] == DATASET["num_classes"]
    assert getattr(network, "input_shape", (1, 16, 16)) == (1, 16, 16)
    shortcuts = [layer for layer in layers if "downsample" in layer.name]
    assert len(layers) - len(shortcuts) == count
