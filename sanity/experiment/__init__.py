"""What a run is made of: the configuration's groups as objects, checked, named in keys."""
