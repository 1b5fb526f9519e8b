"""Puts a comparison of runs on standard output, in the format that was asked for."""

from __future__ import annotations

from chaoskit.analysis.run_comparison.result import RunComparison
from chaoskit.report.run_comparison import console
from chaoskit.report.run_comparison.junit import junit
from chaoskit.report.run_comparison.markdown import markdown
from chaoskit.report.screen import Screen
from chaoskit.terminal import say, say_json


def show(found: RunComparison, format: str) -> None:
    """In this format: `console`, `json`, `markdown`, `junit`."""
    match format:
        case "json":
            say_json(found.model_dump_json(indent=1))
        case "markdown":
            say(*markdown(found).splitlines())
        case "junit":
            say(*junit(found).splitlines())
        case _:
            console.render(found, Screen())
