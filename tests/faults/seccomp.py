"""Let the kernel refuse system calls of this process, as a failing disk would: Linux, no root.

A filter stays until the process ends, and goes to all its threads and children.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Collection

# <linux/audit.h>, <linux/filter.h>, <linux/seccomp.h>
NUMBERS = {
    "x86_64": {
        **{"rename": 82, "mkdir": 83, "fsync": 74, "fdatasync": 75, "flock": 73, "openat": 257},
        **{"mkdirat": 258, "renameat": 264, "renameat2": 316},
    },
    "aarch64": {
        **{"fsync": 82, "fdatasync": 83, "flock": 32, "openat": 56, "mkdirat": 34},
        **{"renameat": 38, "renameat2": 276},
    },
}
CHANGING = ("rename", "renameat", "renameat2", "mkdir", "mkdirat", "fsync", "fdatasync", "openat")
O_CREAT = 0o100
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
SYSCALL, THIRD_ARGUMENT = 0, 32  # offsets in struct seccomp_data (the low half, little-endian)
NO_NEW_PRIVILEGES, SET_FILTER, ALL_THREADS = 38, 1, 1
SECCOMP = {"x86_64": 317, "aarch64": 277}


def available() -> bool:
    """Whether this machine is one whose system calls we know."""
    return platform.system() == "Linux" and platform.machine() in NUMBERS


def refuse(names: Collection[str], error: int) -> None:
    """From now on these calls answer ``error`` (0: they do nothing, and say that it worked).

    Of ``openat`` only those that may create a file.
    """
    machine = platform.machine()
    numbers = {name: NUMBERS[machine][name] for name in names if name in NUMBERS[machine]}
    program = [(LOAD, 0, 0, SYSCALL)]
    for name, number in numbers.items():
        if name == "openat":
            # Not this one: go on four instructions later, at the next comparison.
            program += [(EQUAL, 0, 4, number), (LOAD, 0, 0, THIRD_ARGUMENT)]
            program += [(ANY_BIT, 0, 1, O_CREAT), (RETURN, 0, 0, REFUSE | error)]
            program += [(RETURN, 0, 0, ALLOW)]
        else:
            program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | error)]
    program.append((RETURN, 0, 0, ALLOW))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.syscall(SECCOMP[machine], SET_FILTER, ALL_THREADS, filter_):
        raise OSError(ctypes.get_errno() or errno.EINVAL, "seccomp")
