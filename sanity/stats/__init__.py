"""What differences between seeds allow one to say: tests, verdicts, and the seeds they take."""
