"""The questions that a set of runs asks, and their answers: one a method, sparsity and check."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from sanity.report.data import sameness
from sanity.report.data.cells import Arm, Cell
from sanity.report.data.looks import Looks
from sanity.report.data.runs import kind
from sanity.report.output import wording
from sanity.rewinds.learning_rate import LearningRate
from sanity.stats.criteria import Criteria
from sanity.stats.paired import Paired, compare, mean
from sanity.stats.verdicts import Judgement, Verdict, judge
from sanity.sweep.sweep import Sweep


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


FINE_TUNED = {wording.ORIGINAL, "shuffle_weights"}
"""The arms of a positive control."""

LATE = 0.5  # of the schedule, from which on a ticket is fine-tuned rather than trained again


def ask(cells: Sequence[Cell], criteria: Criteria, sweeps: Sequence[Sweep] = ()) -> list[Question]:
    """All questions with their answers, corrected for how many there are in each family.

    ``sweeps`` tell the looks that were taken, where seeds are added until questions are decided.
    """
    looks = Looks(sweeps) if criteria.grows else None
    asked = [one for cell in cells for one in _of_cell(cell, cells, criteria, looks)]
    families: dict[int, list[Question]] = defaultdict(list)
    for one in asked:
        families[id(one.cell) if criteria.family == "cell" else 0].append(one)
    found: list[Question] = []
    for family in families.values():
        fit = [one for one in family if criteria.grows or not one.judgement.why]
        # A family that grows has its size from the first look on, whatever came of its arms.
        pairs = [Paired({}) if one.judgement.why else one.judgement.paired for one in fit]
        judged = {id(one): found for one, found in zip(fit, judge(pairs, criteria), strict=True)}
        found += [
            one if one.judgement.why else replace(one, judgement=judged[id(one)]) for one in family
        ]
    return found


def control(cell: Cell, changed: Arm) -> str:
    """Whether the answer is known beforehand, so that it checks the experiment.

    Rearranged, a random ticket is another random ticket. A partially-trained ticket (Su et al.
    2020, section 5) of the largest trained weights that has only the end of the schedule must miss
    them; with more of it ahead it may make up for them, so that is a question and no control.
    """
    choices, run = cell.kinds, changed.any_run
    check = kind(run.config, "sanity_check", run.choices["sanity_check"])
    if choices["pruner"] == "random" and choices["rewind"] == "init":
        return "negative" if check == "rearrange" else ""
    return "positive" if _is_fine_tuned(cell) and check == "shuffle_weights" else ""


def is_control(cell: Cell) -> bool:
    """Whether a cell is there as a positive control, and not to be compared with methods."""
    return _is_fine_tuned(cell) and {arm.check for arm in cell.arms.values()} == FINE_TUNED


def _is_fine_tuned(cell: Cell) -> bool:
    choices, config = cell.kinds, cell.any_run.config
    epochs, epoch = config.get("training", {}).get("epochs"), config.get("rewind", {}).get("epoch")
    if (choices["pruner"], choices["rewind"]) != ("lt", "learning_rate"):
        return False
    if not isinstance(epoch, int | float) or not isinstance(epochs, int) or not isfinite(epoch):
        return False
    return LearningRate(epoch).start_epoch(epochs) >= LATE * epochs


def _of_cell(
    cell: Cell, cells: Sequence[Cell], criteria: Criteria, looks: Looks | None
) -> list[Question]:
    """Its questions, not judged yet; where they cannot be, ``why`` says so."""
    original = cell.original
    if not original.accuracies:
        return []
    own = [arm for arm in cell.arms.values() if arm is not original]
    changed = [(arm.check, arm.label, arm, sameness.OF_A_CELL) for arm in own]
    changed += [
        (wording.RANDOM_TICKET, label, arm, sameness.OF_A_CONTEXT)
        for label, arm in _random_tickets(cell, cells)
    ]
    # Nothing can be taken away from a ticket that guesses.
    average, chance = mean(original.accuracies), ""
    if original.any_run.guesses(average):
        chance = f"as found it is no better than guessing ({average:.2f}%)"
    asked = []
    for check, label, arm, shared in changed:
        unlike = sameness.why_not(original, arm, shared)
        # A difference that means nothing is not shown: it would be read all the same.
        seeds = {} if unlike else arm.accuracies
        taken = looks.taken(original, arm) if looks else None
        paired = compare(original.accuracies, seeds, criteria, taken)
        judgement = Judgement(Verdict.NONE, paired, why=unlike or chance)
        known = "" if check == wording.RANDOM_TICKET else control(cell, arm)
        asked.append(Question(cell, arm, check, label, known, judgement))
    return asked


def _random_tickets(cell: Cell, cells: Sequence[Cell]) -> list[tuple[str, Arm]]:
    """The paper's random tickets (smart ratio) for the same network, data and sparsity.

    One as a rule; where there are several, their names say in which settings they differ.
    """
    if cell.kinds["pruner"] in ("random", "dense") or is_control(cell):
        return []
    wanted = {"pruner": "random", "ratio": "smart", "rewind": "init"}
    found = [
        other
        for other in cells
        if other.context is cell.context and other.kinds == wanted and other.accuracies
        if _alike(cell, other)
    ]
    label = wording.change(wording.RANDOM_TICKET)
    return [(label if len(found) == 1 else f"{label}: {one.method}", one.original) for one in found]


def _alike(cell: Cell, other: Cell) -> bool:
    """Whether tickets are meant to be of one size; where files decide it, whether they are."""
    if None not in (cell.any_run.sparsity, other.any_run.sparsity):
        return cell.sparsity == other.sparsity
    return sameness.of_one_size(cell.original, other.original)
