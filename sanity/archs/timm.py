"""Any classifier of timm (PyTorch Image Models), for the images and classes at hand: an extra."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sanity.core.config import absolute
from sanity.core.errors import ConfigError, one_line
from sanity.networks.library import Library, unknown_name, with_stem


def network(
    name: str,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 32,
    stem: str = "imagenet",
    settings: Mapping[str, Any] | None = None,
    weights: str | None = None,
) -> nn.Module:
    """timm's network ``name``: images [B, C, H, W] -> logits [B, classes].

    ``settings`` are further arguments of ``timm.create_model`` (drop_rate, drop_path_rate);
    ``weights`` a file of pretrained ones, which timm adapts to classes, channels and size. Raises
    ConfigError for an unknown name and settings that it does not have.
    """
    timm = _timm()
    given = dict(settings or {})
    if _config(name).fixed_input_size:
        given["img_size"] = image_size
    if weights is not None:
        if stem == "cifar":
            raise ConfigError("arch.stem=cifar: has no pretrained weights in timm; choose imagenet")
        given |= {"pretrained": True, "pretrained_cfg_overlay": {"file": weights}}
    try:
        made: nn.Module = timm.create_model(
            name, num_classes=num_classes, in_chans=in_channels, **given
        )
    except Exception as error:  # whatever its functions say to settings that they do not have
        raise ConfigError(
            f"arch.name={name}: cannot be made for images of {image_size} x {image_size}: "
            f"{one_line(error)}"
        ) from error
    return with_stem(made, stem)


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise ConfigError(
            "arch=timm: needs the package timm: pip install 'sanity[timm]', or pip install timm"
        ) from None
    return timm


def _config(name: str) -> Any:
    """What timm knows of a network and its weights; ConfigError for an unknown name."""
    timm = _timm()
    plain = name.partition(".")[0]
    if not timm.is_model(plain):
        raise unknown_name(name, timm.list_models(), "timm")
    try:
        found = timm.models.get_pretrained_cfg(name)
    except RuntimeError:  # of a tag that it does not know
        raise unknown_name(name, [plain, *timm.list_pretrained(f"{plain}.*")], "timm") from None
    return found or timm.models.PretrainedCfg()


def weights_file(name: str, weights: str) -> Path:
    """The file of pretrained weights: timm's own for DEFAULT, or a path."""
    if weights != "DEFAULT":
        path = absolute("arch.weights", weights)
        if not path.is_file():
            raise ConfigError(
                f"arch.weights={weights}: no such file; choose null, DEFAULT (timm's weights of "
                f"{name}) or a file"
            )
        return path
    found = _config(name)
    if not found.hf_hub_id:
        raise ConfigError(f"arch.weights=DEFAULT: timm has no weights of {name}; choose a file")
    from huggingface_hub import hf_hub_download

    file = found.hf_hub_filename or "model.safetensors"
    try:
        return Path(hf_hub_download(found.hf_hub_id, file))
    except Exception as error:  # of the network, the hub, the cache
        raise ConfigError(
            f"arch.weights=DEFAULT: {file} of {found.hf_hub_id} cannot be fetched from the Hugging "
            f"Face hub ({one_line(error)}): fetch it where there is a network, and name it: "
            "arch.weights=FILE"
        ) from None


library = Library("timm", weights_file)
