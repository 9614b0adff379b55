"""Hydra's view of sanity.sweep: a sweeper that plans, launchers that share stages.

Hydra accepts such classes only below the namespace package ``hydra_plugins``, and imports these
modules at every start, so they import what is heavy when it is needed.
"""
