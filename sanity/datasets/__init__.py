"""Data sets: one module an option."""
