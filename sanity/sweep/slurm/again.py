"""How jobs of a sweep were submitted (``slurm/request.json``), for who submits its next look.

That may be another command than the one that began the sweep: it has neither its settings nor its
copy of the code.
"""

import dataclasses
import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from sanity.core import sharing
from sanity.core.errors import SweepError, as_line
from sanity.core.files import read_json, write_json
from sanity.sweep.pace import Capacity
from sanity.sweep.scheduler import Request
from sanity.sweep.snapshot import Snapshot
from sanity.sweep.sweep import Sweep

NAME = "request.json"


def write(sweep: Sweep, request: Request) -> None:
    """Note a request, and the copy of the code that jobs run."""
    settings = {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for name, value in request.settings.items()
    }
    code = sweep.code
    content = {
        "capacity": dataclasses.asdict(request.capacity),
        "device": request.device,
        "settings": settings,
        "code": None
        if code is None
        else {
            "code": str(code.code),
            "config_dir": None if code.config_dir is None else str(code.config_dir),
            "first": [str(path) for path in code.first],
        },
    }
    sharing.make_directory(sweep.cluster_directory)
    write_json(sweep.cluster_directory / NAME, content)


def is_known(sweep: Sweep) -> bool:
    """Whether there is a request of this user's that looks to come are part of.

    Another's is neither to be run here, code and all, nor to be submitted for another.
    """
    try:
        return (sweep.cluster_directory / NAME).stat().st_uid == os.getuid()
    except OSError:
        return False


def forget(sweep: Sweep) -> None:
    """Let nobody submit more but who asks for it."""
    (sweep.cluster_directory / NAME).unlink(missing_ok=True)


def read(sweep: Sweep) -> tuple[Sweep, Request]:
    """The sweep with its code, and the request; raises SweepError where they were not noted."""
    path = sweep.cluster_directory / NAME
    try:
        content = read_json(path)
        code = content["code"]
        own = code["config_dir"]
        first = tuple(map(Path, code["first"]))
        copy = Snapshot(Path(code["code"]), None if own is None else Path(own), first)
        settings = DictConfig(content["settings"])
        request = Request(Capacity(**content["capacity"]), str(content["device"]), settings)
        if not copy.code.is_dir():
            raise ValueError(f"{copy.code} is gone")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SweepError(
            f"{path}: does not tell how to submit more ({as_line(str(error))}); the same command "
            "as before goes on"
        ) from error
    copy.enter(None if sweep.config_dir is None else Path(sweep.config_dir), None)
    return dataclasses.replace(sweep, code=copy), request
