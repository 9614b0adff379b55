"""Sweeps that go on until their questions are decided: what to ask for next, and how it stands."""
