"""A few of the trials that ``harness.py`` makes by the hundred."""

from pathlib import Path

import harness
import pytest
import trial
from trial import At, Place


@pytest.mark.slow
@pytest.mark.parametrize("kind", harness.KINDS)
@pytest.mark.parametrize(
    "name", [name for name in harness.COMMANDS if name not in harness.PARALLEL]
)
def test_nothing_is_lost_or_changed_and_nobody_has_to_clean_up(
    tmp_path: Path, name: str, kind: str
) -> None:
    _, outcomes = harness.run(name, kind, 4, 0, tmp_path)
    assert len(outcomes) == 4
    assert [outcome for outcome in outcomes if not outcome.fine] == []
    assert sum(outcome.disturbed for outcome in outcomes) >= 2


@pytest.mark.slow
def test_the_same_for_workers_and_their_parent(tmp_path: Path) -> None:
    _, outcomes = harness.run(harness.WORKERS, "kills", 2, 0, tmp_path)
    assert [outcome for outcome in outcomes if not outcome.fine] == []


def test_the_trial_would_notice(tmp_path: Path) -> None:
    """What is done by hand here is what a faulty program might do."""
    arguments = (*harness.RUN, "pruner=random", "until=prune")
    reference = trial.look(Place(tmp_path / "undisturbed"), arguments)
    assert trial.attempt(Place(tmp_path / "fine"), reference, [At(5)]).fine

    place = Place(tmp_path / "lost")
    first = place.start(*arguments)
    assert first.wait(60) == 0
    (entry,) = (place.root / "store" / "prune").iterdir()
    (entry / "manifest.json").unlink()
    outcome = trial.attempt(place, reference, [])
    assert outcome.hands == [f"left behind: store/prune/{path.name}" for path in asides(place)] + [
        f"left behind: store/prune/{path.name}/mask.safetensors" for path in asides(place)
    ]

    place = Place(tmp_path / "changed")
    outcome = trial.attempt(place, reference, [At(10**6)])
    assert outcome.fine
    other = trial.look(Place(tmp_path / "other"), (*arguments, "seed=1"))
    outcome = trial.attempt(Place(tmp_path / "more"), other, [])
    assert outcome.fine
    mixed = trial.Reference(arguments, other.results, other.story, other.files, 0, 0.0)
    outcome = trial.attempt(Place(tmp_path / "mixed"), mixed, [])
    assert [line.split()[0] for line in outcome.changed] == ["results", "results", "story"]


def asides(place: Place) -> list[Path]:
    return list((place.root / "store" / "prune").glob("*.damaged-*"))
