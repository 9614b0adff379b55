"""Stage 3: the weights a ticket starts from; checks of the weights act here."""

from typing import Any

from torch import Tensor

from sanity.archs.build import build
from sanity.checks.base import WeightCheck
from sanity.stages.lab import Lab, happened
from sanity.stages.network import Round, Trained, mask_of
from sanity.stages.train_dense import weights_at
from sanity.store import Entry, Work, save_tensors
from sanity.streams import generator
from sanity.ticket import compress


def rewind(
    lab: Lab, dense: Trained | None, trained: Trained | None, pruned: Entry, turn: Round
) -> Entry:
    """Leaves the ticket's starting ``weights`` (compressed by the mask of ``pruned``).

    ``trained`` is the network that was pruned: the dense one, or IMP's last. Learning rate
    rewinding goes on from it; the other rewinds return to the ``dense`` network's past.
    """
    parts, check = lab.parts, lab.parts.check
    checked = isinstance(check, WeightCheck) and turn.last
    source = trained if parts.rewind.source == "final" else dense

    def compute(work: Work) -> dict[str, Any]:
        mask = mask_of(pruned)
        weights = _source_weights(lab, source)
        facts: dict[str, Any] = {}
        if checked:
            assert isinstance(check, WeightCheck)
            chance = generator(lab.seed, "check")
            weights, effect = check.perturb(weights, mask, lambda: _fresh(lab), chance)
            facts["effect"] = happened(check, effect)
        save_tensors(work.directory, "weights", compress(weights, mask))
        return facts

    settings = {
        "arch": parts.ids.arch,
        "seed": lab.seed,
        "rewind": parts.ids.rewind,
        "source": None if source is None or parts.rewind.source == "init" else source.key,
        "mask": pruned.key,
        "check": parts.ids.check if checked else None,
    }
    return lab.fetch("rewind", turn.name("rewind"), settings, compute)


def _source_weights(lab: Lab, source: Trained | None) -> dict[str, Tensor]:
    rewind = lab.parts.rewind
    if rewind.source == "init":
        return lab.initial_network().cpu().state_dict()
    assert source is not None, "validation sees to a trained network"
    if rewind.source == "epoch":
        return weights_at(lab, source.entry, lab.parts.start_epoch)
    return source.weights()


def _fresh(lab: Lab) -> dict[str, Tensor]:
    """The same network, initialised once more by other draws."""
    return build(lab.parts.factory, generator(lab.seed, "check", "init")).state_dict()
