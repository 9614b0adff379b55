"""Networks as pruning sees them: their layers, initial weights, and files of others."""
