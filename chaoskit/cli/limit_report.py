"""Shows the result of a search for a limit, from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.analysis.limits.limit_result import load_limit
from chaoskit.errors import SpecError
from chaoskit.report.formats.destinations import put_out, replace_file
from chaoskit.report.limit_console import headline, render, said
from chaoskit.report.limit_documents import document_of
from chaoskit.report.screen import Screen
from chaoskit.terminal import note


def report_limit(folders: Sequence[Path], format: str, out: Path | None) -> int:
    """Show it on the screen, on standard output, or in a file. Returns its exit code."""
    (folder, *others) = folders
    if others:
        raise SpecError(f"{folder} is the folder of a search, which is shown alone; leave out {others[0]}")
    document, found = document_of(format), load_limit(folder)
    if out is not None and str(out) != "-":
        replace_file(out, document.file, lambda file: document.write(found, file))
        note(f"{out}: {headline(found)}, {said(found)}")
    elif format == "console":
        render(found, Screen())
    elif not document.is_text and Screen().file.isatty():
        raise SpecError(f"{format} is no text for a terminal; write -o {document.file}")
    else:
        put_out(lambda file: document.write(found, file))
    return found.exit_code
