"""A package, unlike its neighbours: its conftest must not hide the one above."""
