"""What a report is about: runs, grouped into arms, compared, with what warns their reader."""
