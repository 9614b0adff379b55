"""From scores and counts to masks; what masks do to networks."""
