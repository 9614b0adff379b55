"""The report as JSON, for scripts: numbers instead of words."""

from dataclasses import asdict
from typing import Any

from sanity.report.data import controls, references
from sanity.report.data.cells import Arm, Cell
from sanity.report.data.computing import computing
from sanity.report.data.footprints import costs
from sanity.report.data.questions import Question
from sanity.report.data.references import Reference
from sanity.report.report import Report
from sanity.stats.paired import deviation, mean

SCHEMA = 1


def content(report: Report) -> dict[str, Any]:
    """Everything that the other forms print, as plain values; what is not known is null."""
    return {
        "schema": SCHEMA,
        "title": report.title,
        "created": report.created,
        "criteria": asdict(report.criteria),
        "controls": {
            "state": str(controls.state(report.questions)) if report.questions else None,
            "sentences": report.warnings,
        },
        "cells": [_cell(cell) for cell in report.cells],
        "verdicts": [_verdict(one) for one in report.questions],
        "computing": asdict(computing(report.runs)),
        "absent": [
            {"directory": str(one.directory), "state": one.word, "why": one.why}
            for one in report.absent
        ],
        "unreadable": list(report.unreadable),
        "notes": list(report.notes),
        "commands": report.commands,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    dense = cell.context.dense
    reference = _reference(references.of_dense(cell), mean(dense))
    return {
        **_place(cell),
        "dense": {**_figures(dense), "reference": reference},
        "arms": [_arm(cell, arm) for arm in cell.arms.values()],
    }


def _place(cell: Cell) -> dict[str, Any]:
    return {
        "context": cell.context.label,
        "dataset": cell.context.dataset,
        "arch": cell.context.arch,
        "method": cell.method,
        **cell.choices,
        "sparsity": cell.sparsity,
        "pruned": cell.pruned,
    }


def _arm(cell: Cell, arm: Arm) -> dict[str, Any]:
    found = _reference(references.of_arm(cell, arm), mean(arm.accuracies))
    figures = {"last": _figures(arm.accuracies), "best": _figures(arm.best)}
    ticket = asdict(costs(arm.runs.values()))
    return {
        "check": arm.check,
        "label": arm.label,
        **figures,
        "reference": found,
        "ticket": ticket,
    }


def _figures(values: Any) -> dict[str, Any]:
    by_seed = {str(seed): value for seed, value in values.items()}
    return {"mean": mean(values), "std": deviation(values), "n": len(values), "seeds": by_seed}


def _reference(reference: Reference | None, found: float | None) -> dict[str, Any] | None:
    if reference is None:
        return None
    return {
        "accuracy": reference.accuracy,
        "difference": None if found is None else found - reference.accuracy,
        "source": reference.source,
        "about": reference.about,
    }


def _verdict(question: Question) -> dict[str, Any]:
    judgement, paired = question.judgement, question.judgement.paired
    return {
        **_place(question.cell),
        "check": question.check,
        "label": question.label,
        "control": question.control or None,
        "verdict": str(question.verdict),
        "n": paired.seeds,
        "effect": paired.middle,
        "std": paired.std,
        "interval": None if paired.interval is None else list(paired.interval),
        "p_different": judgement.p_different,
        "p_equivalent": judgement.p_equivalent,
        "p_different_uncorrected": paired.p_different,
        "p_equivalent_uncorrected": paired.p_equivalent,
        "decided_after": judgement.seeds if judgement.is_decided else None,
        "looks": [asdict(look) for look in paired.looks],
        "forecast": None if judgement.forecast is None else asdict(judgement.forecast),
        "differences": {str(seed): value for seed, value in paired.differences.items()},
        "why": judgement.why,
    }
