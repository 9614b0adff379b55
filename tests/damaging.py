"""What happens to files on disks."""

from pathlib import Path


def flip_a_bit(path: Path) -> None:
    """One bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """The second half of a file is lost."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
