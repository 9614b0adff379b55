"""Files of other tools: read as data, brought into one form, matched to a network's names."""
