"""Stage 4: train the ticket, on clean data."""

from typing import Any

from sanity.stages.lab import Lab
from sanity.stages.network import Round, Trained, mask_of
from sanity.store import Entry, Work, save_tensors
from sanity.ticket import compress, expand
from sanity.training.loop import evaluate


def train_ticket(lab: Lab, start: Entry, pruned: Entry, turn: Round) -> Trained:
    """Leaves the ticket's ``final`` weights (compressed); pruned ones are 0 after every step.

    The rounds of iterative pruning before the last belong to the search for the mask: they see
    what pruning sees, corrupted data included.
    """
    parts = lab.parts
    course = turn.number if parts.rewind.source == "final" else 0
    searching = not turn.last and parts.check.target == "data"

    def compute(work: Work) -> dict[str, Any]:
        splits = lab.data.seen_by_pruning if searching else lab.data.clean
        mask = mask_of(pruned)
        network = lab.initial_network()
        network.load_state_dict(expand(start.tensors("weights"), mask))
        _, start_accuracy = evaluate(network, splits.test, parts.recipe)
        facts = lab.train(
            network,
            splits,
            turn.name("train_ticket"),
            lab.checkpoints(work),
            mask=mask,
            start_epoch=parts.start_epoch,
            course=course,
        )
        save_tensors(work.directory, "final", compress(network.state_dict(), mask))
        return facts | {"start_test_accuracy": start_accuracy}

    settings = {
        "start": start.key,
        "mask": pruned.key,
        "seed": lab.seed,
        "dataset": parts.ids.dataset,
        "training": parts.ids.recipe,
        "start_epoch": parts.start_epoch,
        "course": course,
        "check": parts.ids.check if searching else None,
    }
    name = turn.name("train_ticket")
    return Trained(lab.fetch("train_ticket", name, settings, compute), pruned)
