"""Sweeps on SLURM: its commands, scripts, submission, and following what was submitted."""
