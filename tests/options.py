"""The registered components, found where users find them: a YAML file an option."""

from sanity.config import PROJECT


def options(group: str) -> list[str]:
    """The options of a configuration group."""
    return sorted(path.stem for path in (PROJECT / "conf" / group).glob("*.yaml"))
