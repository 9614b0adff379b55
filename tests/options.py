"""The registered components, found where users find them: a YAML file an option."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from sanity.core.config import PROJECT


def options(group: str) -> list[str]:
    """The options of a configuration group."""
    return sorted(path.stem for path in (PROJECT / "conf" / group).glob("*.yaml"))


def load_option(group: str, option: str) -> dict[str, Any]:
    """The settings in an option's file, wherever the file says they belong."""
    content = OmegaConf.load(PROJECT / "conf" / group / f"{option}.yaml")
    assert isinstance(content, DictConfig)
    values = OmegaConf.to_container(content.get(group, content))
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}
