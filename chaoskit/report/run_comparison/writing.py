"""Puts a comparison of runs on standard output or into a file, in the format that was asked for."""

from __future__ import annotations

import io
from pathlib import Path

from chaoskit.analysis.run_comparison.result import RunComparison
from chaoskit.errors import SpecError
from chaoskit.report.formats import format_of
from chaoskit.report.formats.destinations import STANDARD_OUTPUT, put_out, write_content
from chaoskit.report.run_comparison import console
from chaoskit.report.run_comparison.junit import junit
from chaoskit.report.run_comparison.markdown import markdown
from chaoskit.report.run_comparison.words import headline
from chaoskit.report.screen import Screen
from chaoskit.terminal import ascii_json, note

_FILES = {"console": "compare.txt", "json": "compare.json", "markdown": "compare.md", "junit": "compare.xml"}
_WIDTH = 120  # of a file


def chosen(asked: str | None, out: Path | None) -> str:
    """The format that is asked for, or that of the file's ending. Raises SpecError for one that a comparison lacks."""
    if asked is not None or out is None:
        return asked or "console"
    if (name := format_of(out.name)) not in _FILES:
        raise SpecError(
            f"{out}: a comparison has no {name}, only {', '.join(_FILES)}; write -o {out.with_suffix('.md')}"
        )
    return name


def show(found: RunComparison, format: str, out: Path | None = None) -> None:
    """In this format: `console`, `json`, `markdown`, `junit`. Raises as `write_content`."""
    if out is not None and out != STANDARD_OUTPUT:
        content = _text(found, format).encode(errors="backslashreplace")
        write_content(content, out, _FILES[format])
        note(*(f"{out}: {headline(each.verdict).lower()}: {each.reason}" for each in found.candidates))
    elif format == "console":
        console.render(found, Screen())
    else:
        put_out(lambda file: file.write(_text(found, format).encode(errors="backslashreplace")), _FILES[format])


def _text(found: RunComparison, format: str) -> str:
    match format:
        case "json":
            return ascii_json(found.model_dump_json(indent=1)) + "\n"
        case "markdown":
            return markdown(found)
        case "junit":
            return junit(found)
    text = io.StringIO()
    console.render(found, Screen(text, width=_WIDTH))
    return text.getvalue()
