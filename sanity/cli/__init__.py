"""The command line's manners: what was typed, as Hydra can read it, and errors as one line."""
