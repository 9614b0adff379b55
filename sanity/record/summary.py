"""What a run found, on the terminal: a few lines a person reads, from the record alone."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Column, Table

from sanity.core.console import Out
from sanity.record import remarks
from sanity.record.record import Record

TRAINED = ("dense_test_accuracy", "test_accuracy")
"""Of networks that have been trained, which are to be better than guessing."""


def show(record: Record) -> None:
    """Print the run's result on stdout; where it stopped at pruning, the layer table first."""
    content = record.content
    console = Out()
    if content["ticket"] and content["config"]["until"] in ("prune", "rewind"):
        console.print(layers(content["ticket"]))
    console.print(result(content))
    console.print(f"record: {record.path}", soft_wrap=True, highlight=False)


def layers(ticket: dict[str, Any]) -> Table:
    """Kept and total weights of every layer, with their density drawn."""
    figures = (Column(name, justify="right") for name in ("total", "kept", "density"))
    table = Table("layer", *figures, "", box=box.SIMPLE_HEAD)
    for layer in ticket["layers"]:
        density = layer["kept"] / layer["total"]
        counts = (f"{layer['total']:,}", f"{layer['kept']:,}")
        table.add_row(layer["name"], *counts, f"{density:.2%}", "█" * round(20 * density))
    table.add_section()
    share = f"{1 - ticket['sparsity']:.2%}"
    table.add_row("all", f"{ticket['total']:,}", f"{ticket['kept']:,}", share, "")
    return table


def result(content: dict[str, Any]) -> Table:
    """Sparsity, accuracies, the check's effect and the stages, one a line."""
    table = Table(box=box.SIMPLE, show_header=False, title=_title(content), title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    ticket, metrics = content["ticket"], content["metrics"]
    if ticket:
        kept = f"{ticket['kept']:,} of {ticket['total']:,} weights kept"
        table.add_row("sparsity", f"{ticket['sparsity']:.2%}  ({kept})")
        if said := costs(ticket):
            table.add_row("costs", said)
        empty = [layer["name"] for layer in ticket["layers"] if layer["kept"] == 0]
        if empty:
            table.add_row("empty layers", ", ".join(empty), style="red")
        for remark in remarks.of_ticket(ticket):
            table.add_row("remark", remark, style="yellow")
    guessing = remarks.guessing(content)
    baseline = content["choices"]["pruner"] == "dense"
    labels = {
        "dense_test_accuracy": "dense",
        "pruned_test_accuracy": "pruned",
        "test_accuracy": "test" if baseline else "ticket",
        "validation_accuracy": "validation",
    }
    for name, label in labels.items():
        if name in metrics and not (baseline and name == "dense_test_accuracy"):
            best = metrics.get("best_test_accuracy")
            note = f"  (best epoch {best:.2f}%)" if name == "test_accuracy" else ""
            chance = guessing.remark(metrics[name]) if guessing and name in TRAINED else ""
            words = f"{metrics[name]:.2f}%{note}{'  ' if chance else ''}{chance}"
            table.add_row(label, words, style="yellow" if chance else "")
    check = content["check"]
    if check and check["effect"]:
        table.add_row("check", f"{check['name']}: {effect(check['effect'])}")
    for name, stage in content["stages"].items():
        how = f"reused, took {stage['seconds']:.1f} s" if stage["reused"] else "computed"
        seconds = "" if stage["reused"] else f"in {stage['seconds']:.1f} s"
        table.add_row(name, f"{how} {seconds}".ljust(24) + stage["key"])
    return table


def costs(ticket: Mapping[str, Any]) -> str:
    """Multiply-accumulates of an image, bytes and effective weights, those that are known."""
    told = ticket.get("footprint", {})
    found = {name: value for name, value in told.items() if value is not None}
    words = []
    if "macs" in found:
        words.append(f"{found['macs']:,} of {found['dense_macs']:,} MACs an image")
    if "bytes" in found:
        words.append(f"{found['bytes'] / 1000:,.1f} of {found['dense_bytes'] / 1000:,.1f} kB")
    if "effective" in found:
        words.append(f"{found['effective']:,} of {ticket['kept']:,} weights effective")
    return ", ".join(words)


def effect(counts: Mapping[str, float]) -> str:
    """ "12 of 34 labels changed" for {"labels_changed": 12, "labels": 34}; others as they are."""
    words = []
    for name, value in counts.items():
        noun, _, verb = name.rpartition("_")
        if noun in counts:
            words.append(f"{_number(value)} of {_number(counts[noun])} {noun} {verb}")
        elif not any(other.startswith(f"{name}_") for other in counts):
            words.append(f"{_number(value)} {name.replace('_', ' ')}")
    return ", ".join(words)


def ratio_of(content: Mapping[str, Any]) -> str:
    """The ratio's name; that of ``like`` with whose counts it copies."""
    lender, ratio = content["config"]["ratio"].get("of"), str(content["choices"]["ratio"])
    return ratio if lender is None else f"{ratio} {lender}"


def _title(content: dict[str, Any]) -> str:
    choices = content["choices"]
    words = [choices["dataset"], choices["arch"], f"{choices['pruner']} x {ratio_of(content)}"]
    if choices["rewind"] != "init":
        words.append(f"rewind {choices['rewind']}")
    if choices["sanity_check"] != "none":
        words.append(f"check {choices['sanity_check']}")
    return "  ".join([*words, f"seed {content['seed']}"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.4g}"
