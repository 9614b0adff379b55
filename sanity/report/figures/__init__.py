"""The pictures of a report, each a small panel that a phone shows whole."""
