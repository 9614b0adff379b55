"""The questions that a set of runs asks, and their answers: one a method, sparsity and check."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sanity.report import words
from sanity.report.cells import Arm, Cell
from sanity.stats.criteria import Criteria
from sanity.stats.paired import Paired, compare
from sanity.stats.verdicts import Judgement, Verdict, judge


@dataclass(frozen=True)
class Question:
    """Does the method use what the check takes away? ``changed`` is the arm that went without.

    ``control`` is "negative" where it cannot, by construction, and "positive" where it should.
    """

    cell: Cell
    changed: Arm
    check: str
    label: str
    control: str
    judgement: Judgement

    @property
    def verdict(self) -> Verdict:
        """The answer."""
        return self.judgement.verdict


FINE_TUNED = {words.ORIGINAL, "shuffle_weights"}
"""The arms of a positive control."""


@dataclass(frozen=True)
class _Asked:
    cell: Cell
    changed: Arm
    check: str
    label: str
    paired: Paired


def ask(cells: Sequence[Cell], criteria: Criteria) -> list[Question]:
    """All questions with their answers, corrected for how many there are in each family."""
    asked = [one for cell in cells for one in _of_cell(cell, cells, criteria)]
    families: dict[int, list[_Asked]] = defaultdict(list)
    for one in asked:
        families[id(one.cell) if criteria.family == "cell" else 0].append(one)
    return [
        Question(one.cell, one.changed, one.check, one.label, control(one.cell, one.check), found)
        for family in families.values()
        for one, found in zip(family, judge([one.paired for one in family], criteria), strict=True)
    ]


def control(cell: Cell, check: str) -> str:
    """Whether the answer is known beforehand, so that it checks the experiment.

    Rearranged, a random ticket is another random ticket. A partially-trained ticket (Su et al.
    2020, section 5) that has only the rest of the schedule must miss its trained weights; with the
    whole schedule ahead it may make up for them, so that is a question and no control.
    """
    choices = cell.choices
    if choices["pruner"] == "random" and choices["rewind"] == "init":
        return "negative" if check == "rearrange" else ""
    return "positive" if _is_fine_tuned(cell) and check == "shuffle_weights" else ""


def is_control(cell: Cell) -> bool:
    """Whether a cell is there as a positive control, and not to be compared with methods."""
    return _is_fine_tuned(cell) and {arm.check for arm in cell.arms.values()} <= FINE_TUNED


def _is_fine_tuned(cell: Cell) -> bool:
    late = bool(cell.any_run.config.get("rewind", {}).get("epoch"))
    return late and cell.choices["rewind"] == "learning_rate"


def _of_cell(cell: Cell, cells: Sequence[Cell], criteria: Criteria) -> list[_Asked]:
    original = cell.original
    if original is None or not original.accuracies:
        return []
    changed = [(arm.check, arm.label, arm) for arm in cell.arms.values() if arm is not original]
    random = _random_ticket(cell, cells)
    if random is not None:
        changed.append((words.RANDOM_TICKET, words.change(words.RANDOM_TICKET), random))
    return [
        _Asked(cell, arm, check, label, compare(original.accuracies, arm.accuracies, criteria))
        for check, label, arm in changed
    ]


def _random_ticket(cell: Cell, cells: Sequence[Cell]) -> Arm | None:
    """The paper's random ticket (smart ratio) for the same network, data and sparsity."""
    if cell.choices["pruner"] in ("random", "dense") or is_control(cell):
        return None
    for other in cells:
        choices = (other.choices["pruner"], other.choices["ratio"], other.choices["rewind"])
        same = other.context is cell.context and other.sparsity == cell.sparsity
        if same and choices == ("random", "smart", "init"):
            return other.original
    return None
