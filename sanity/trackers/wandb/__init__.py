"""Weights & Biases: one run a training, and the workspace in which they are compared."""

from sanity.trackers.wandb.tracker import Wandb

__all__ = ["Wandb"]
