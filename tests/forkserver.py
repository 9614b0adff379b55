"""What ``processes.py`` starts: it has imported what is slow, and forks a process a command.

A command gets all that a new interpreter would give it: arguments, environment, working
directory, warnings, ``__main__``, and modules of its own; ours are never imported here. What it
shares with others is what the packages below keep from their import, and the seed of hashes.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

SLOW = (
    *("torch._dynamo", "torch.optim", "torch.fx.experimental.symbolic_shapes", "sympy"),
    *("torch.utils.tensorboard", "sklearn.datasets", "pandas", "PIL.Image", "safetensors.torch"),
    *("scipy.stats", "statsmodels.stats.weightstats", "jinja2"),
    *("hydra.main", "hydra.compose", "rich.console", "rich.progress", "submitit", "joblib"),
    # What wandb imports. Not wandb: it makes directories then, which its first process removes.
    *("pydantic", "click", "opentelemetry.trace", "google.protobuf.struct_pb2", "xxhash"),
)


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for each message; returns the command, and in its process alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers below
    while True:
        message, files, _, _ = socket.recv_fds(connection, 1, 4)
        if not message:  # the tests have ended
            os._exit(0)
        if os.fork() == 0:
            connection.close()
            return keep(*files)
        for file in files:
            os.close(file)


def keep(request: int, output: int, errors: int, report: int) -> dict[str, Any]:
    """Fork once more, and tell the tests by ``report`` the process's id and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(report, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(report)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    with os.fdopen(request) as file:
        return dict(json.load(file))


def execute(arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    """Do what the interpreter does with ``[-W error] (FILE | -m MODULE) ...``."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    import_module("numpy").random.seed()  # Python's own is seeded anew by each fork
    named = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[1:1] = [path for path in named if path not in sys.path]
    if arguments[:2] == ["-W", "error"]:
        arguments = arguments[2:]
        sys.warnoptions.insert(0, "error")
        warnings.filterwarnings("error")
    if arguments[0] == "-m":
        sys.path[0], sys.argv = cwd, arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = str(Path(arguments[0]).parent), arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    for name in SLOW:
        import_module(name)
    gc.freeze()  # or each process would copy all of it, to find that none of it is garbage
    execute(**serve(socket.socket(fileno=int(sys.argv[1]))))
