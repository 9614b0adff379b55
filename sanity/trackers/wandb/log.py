"""Whether a run's ``.wandb`` file was written to its end: wandb keeps quiet about a full disk.

The file is a LevelDB log: blocks of 32 KiB, in them records of a header (CRC 4 bytes, length 2,
type 1) and their part of a protobuf message. The last message of a finished run is its exit.
"""

import struct
import time
from pathlib import Path

BLOCK, HEADER, PREAMBLE = 32768, 7, 7
FULL, FIRST = 1, 2


def becomes_whole(path: Path, seconds: float) -> bool:
    """Whether the file is whole, or will be in a moment: wandb closes it after the run's end."""
    deadline = time.monotonic() + seconds
    while not (whole := is_whole(path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return whole


def is_whole(path: Path) -> bool:
    """Whether the last message in the file says that the run has ended."""
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    try:
        content = path.read_bytes()
    except OSError:
        return False
    message, place = b"", PREAMBLE
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # a block's end, too short for a header
            place += left
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + HEADER])
        if kind == 0:
            return False  # a hole: reserved on the disk, never written
        part = content[place + HEADER : place + HEADER + length]
        message = part if kind in (FULL, FIRST) else message + part
        place += HEADER + length
    try:
        record = wandb_internal_pb2.Record.FromString(message)  # type: ignore[attr-defined]
    except DecodeError:
        return False
    return bool(record.HasField("exit"))
