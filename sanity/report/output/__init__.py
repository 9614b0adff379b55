"""A report as it is read: in a terminal, as HTML and Markdown, as a table."""
