"""Shows the result of a search for a limit, from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from chaoskit.analysis.limits.limit_result import LimitResult, load_limit
from chaoskit.errors import SpecError
from chaoskit.report.formats.destinations import STANDARD_OUTPUT, put_out, replace_file, write_each
from chaoskit.report.limit_console import headline, render, said
from chaoskit.report.limit_documents import Document, document_of
from chaoskit.report.screen import Screen
from chaoskit.terminal import note


def report_limit(folders: Sequence[Path], formats: Sequence[str], out: Path | None) -> int:
    """Show it on the screen, on standard output, in a file, or in several. Returns its exit code."""
    (folder, *others) = folders
    if others:
        raise SpecError(f"{folder} is the folder of a search, which is shown alone; leave out {others[0]}")
    (document, *more), found = [document_of(each) for each in formats], load_limit(folder)
    if more:
        write_each({each.file: partial(_write, found, each) for each in (document, *more)}, out)
    elif out is not None and out != STANDARD_OUTPUT:
        _write(found, document, out)
        note(f"{out}: {headline(found)}, {said(found)}")
    elif formats[0] == "console":
        render(found, Screen())
    else:
        put_out(lambda file: document.write(found, file), document.file, document.is_text)
    return found.exit_code


def _write(found: LimitResult, document: Document, path: Path) -> None:
    replace_file(path, document.file, partial(document.write, found))
