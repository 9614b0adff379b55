"""What a run says of itself: ``record.json``, remarks for its readers, its summary."""
