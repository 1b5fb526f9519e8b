"""Shows a comparison of runs: on a terminal, as Markdown, as JUnit XML, as JSON."""
