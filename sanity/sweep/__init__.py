"""Sweeps: grids of runs that share their work, planned, launched and followed."""
