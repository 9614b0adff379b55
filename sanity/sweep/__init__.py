"""Sweeps: grids of runs that share their work, planned, launched and followed."""

import warnings

# joblib warns, when it is imported, of what local.py says where it matters.
warnings.filterwarnings("ignore", ".*joblib will operate in serial mode", UserWarning)
