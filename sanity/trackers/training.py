"""From a record to what trackers show: pure functions, for running and for finished runs alike."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sanity.core.files import digest
from sanity.record.summary import ratio_of
from sanity.trackers.base import Ending, Files, Training

DENSE, TICKET = "train_dense", "train_ticket"
INTERRUPTED = ("interrupted", "stopped by SIGTERM")
OF_THE_PLACE = ("tracker", "data_dir", "store_dir", "checkpoint_every")
TAGS = ("dataset", "arch", "pruner", "ratio", "sanity_check")
OF_A_DENSE_NETWORK = ("seed", "arch", "dataset", "training", "threads", "device")
SECRET = re.compile(r"(^|_)(api_?key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
REDACTED = "(redacted)"


def is_shown(stage: str) -> bool:
    """Whether a stage of this name trains a network that trackers show.

    A snapshot is a dense training up to some epoch once more: the dense network's curve has it.
    """
    return stage == DENSE or stage.startswith(TICKET)


def describe(content: Mapping[str, Any], stage: str, key: str, perturbed: bool) -> Training:
    """The training of ``stage`` in a run whose record says ``content`` so far."""
    group = content.get("sweep")
    config = _dense(content, perturbed) if stage == DENSE else _ticket(content, stage, group)
    about = {"stage": stage, "key": key, "sweep": group, "versions": content["versions"]}
    is_about_dense = content["choices"]["pruner"] == "dense" or content["config"]["until"] == DENSE
    return Training(
        id=identifier(stage, key, group),
        stage=stage,
        key=key,
        kind="dense" if stage == DENSE else "ticket",
        name=_name(config, stage),
        group=group,
        tags=tuple(dict.fromkeys(config[name] for name in TAGS if config[name] != "none")),
        config=config | about,
        inputs=_files(content, ("dense", "mask") if stage == TICKET else ()),
        main=stage == (DENSE if is_about_dense else TICKET),
    )


def identifier(stage: str, key: str, group: str | None) -> str:
    """Names a training in its group, for good; letters, digits and ``-``."""
    kind = "dense" if stage == DENSE else "ticket"
    return f"{kind}-{digest([key, group])[:16]}"


def ending_of(
    content: Mapping[str, Any], stage: str, epochs: Sequence[Mapping[str, Any]]
) -> Ending:
    """How the training of ``stage`` ended; the last ticket's figures are those of the run."""
    finished = stage in content["stages"]
    status: Literal["completed", "failed", "interrupted"] = "completed"
    if not finished:
        status = "interrupted" if content.get("reason") in INTERRUPTED else "failed"
    ticket = (content["ticket"] or {}) if stage == TICKET and finished else {}
    names = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss")
    final = {name: epochs[-1][name] for name in names if epochs and name in epochs[-1]}
    if epochs:
        final["best_test_accuracy"] = max(epoch["test_accuracy"] for epoch in epochs)
    if stage == DENSE:
        final["sparsity"] = 0.0
    if stage == TICKET and finished:
        counts = ("sparsity", "kept", "total")
        final |= content["metrics"] | {name: ticket[name] for name in counts if name in ticket}
    check = content["check"] if stage == TICKET else None
    effect = (check or {}).get("effect", {})
    return Ending(
        status=status,
        summary={f"final/{name}": value for name, value in final.items()}
        | {f"check/{name}": value for name, value in effect.items()},
        layers=tuple(
            (layer["name"], layer["total"], layer["kept"], layer["kept"] / layer["total"])
            for layer in ticket.get("layers", [])
        ),
        files=_files(content, {DENSE: ("dense",), TICKET: ("ticket",)}.get(stage, ())),
    )


def _dense(content: Mapping[str, Any], perturbed: bool) -> dict[str, Any]:
    """What a dense network depends on: many runs may share it, whatever their pruner."""
    choices = content["choices"]
    check = choices["sanity_check"] if perturbed else "none"
    names = [*OF_A_DENSE_NETWORK, *(["sanity_check"] if perturbed else [])]
    settings = {name: content["config"].get(name) for name in names}
    return {
        "dataset": choices["dataset"],
        "arch": choices["arch"],
        "arm": "dense" if check == "none" else f"dense, {check}",
        "pruner": "dense",
        "ratio": "none",
        "rewind": "none",
        "sanity_check": check,
        "sparsity": 0.0,
        "seed": content["seed"],
        "settings": redacted(settings),
    }


def _ticket(content: Mapping[str, Any], stage: str, group: str | None) -> dict[str, Any]:
    settings = {k: v for k, v in content["config"].items() if k not in OF_THE_PLACE}
    stages, ticket = content["stages"], content["ticket"]
    dense = stages.get(DENSE)
    choices, ratio = content["choices"], ratio_of(content)
    asked = content["config"]["ratio"].get("sparsity")
    check = "" if choices["sanity_check"] == "none" else f", {choices['sanity_check']}"
    config = {
        **choices,
        "arm": f"{choices['pruner']} x {ratio}{check}",
        "ratio": ratio,
        "sparsity": (ticket or {}).get("asked") if isinstance(asked, str | None) else asked,
        "seed": content["seed"],
        "parent": None if dense is None else identifier(DENSE, dense["key"], group),
        "settings": redacted(settings),
    }
    if stage != TICKET:
        return config | {"round": int(stage.rsplit("_", 1)[1])}
    if ticket:
        # W&B reads dots as nesting, and layers' names have them.
        density = {
            layer["name"].replace(".", "/"): layer["kept"] / layer["total"]
            for layer in ticket["layers"]
        }
        mask = {"key": stages["prune"]["key"], "sha256": ticket.get("found", ticket.get("digest"))}
        config |= {"mask": mask, "density": density}
    return config


def _name(config: Mapping[str, Any], stage: str) -> str:
    """What differs within a sweep first: lists of runs cut names off at their end."""
    words = ["dense"]
    if stage != DENSE:
        words = [f"{config['pruner']} x {config['ratio']}"]
        if isinstance(config["sparsity"], int | float):
            words.append(f"{100 * config['sparsity']:g}%")
        if config["rewind"] != "init":
            words.append(f"rewind {config['rewind']}")
    if config["sanity_check"] != "none":
        words.append(config["sanity_check"])
    if "round" in config:
        words.append(f"round {config['round']}")
    return " ".join([*words, f"s{config['seed']}", config["dataset"], config["arch"]])


def _files(content: Mapping[str, Any], kinds: Sequence[str]) -> Files:
    """Files of the stages that there are: of a dense network its manifest alone."""
    places = {
        "dense": (DENSE, "manifest.json"),
        "mask": ("prune", "mask.safetensors"),
        "ticket": (TICKET, "final.safetensors"),
    }
    store, stages = Path(content["config"]["store_dir"]), content["stages"]
    return {
        kind: (stages[stage]["key"], store / stage / stages[stage]["key"] / file)
        for kind, (stage, file) in places.items()
        if kind in kinds and stage in stages
    }


def redacted(value: Any) -> Any:
    """``value`` without what settings called a key, token, secret or password hold."""
    if isinstance(value, Mapping):
        return {
            name: REDACTED if SECRET.search(str(name)) and item else redacted(item)
            for name, item in value.items()
        }
    return [redacted(item) for item in value] if isinstance(value, list) else value
