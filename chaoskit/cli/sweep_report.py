"""Shows what a sweep measured, from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.analysis.sweep_points import load_measurement
from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.errors import SpecError
from chaoskit.report.formats.destinations import put_out, replace_file
from chaoskit.report.screen import Screen
from chaoskit.report.sweep_console import headline, render, summary
from chaoskit.report.sweep_documents import DOCUMENTS, chosen
from chaoskit.terminal import note


def report_sweep(folders: Sequence[Path], format: str, out: Path | None) -> int:
    """Show it on the screen, on standard output, or in a file. Returns its exit code."""
    (name,) = chosen([format])
    (folder, *others) = folders
    if others:
        raise SpecError(f"{folder} is the folder of a sweep, which is shown alone; leave out {others[0]}")
    found = load_measurement(load_sweep(folder), folder)
    document = DOCUMENTS[name]
    if out is not None and str(out) != "-":
        replace_file(out, document.file, lambda file: document.write(found, file))
        note(f"{out}: {headline(found.sweep)}, {summary(found.sweep)}")
    elif name == "console":
        render(found, Screen())
    elif not document.is_text and Screen().file.isatty():
        raise SpecError(f"{name} is no text for a terminal; write -o {document.file}")
    else:
        put_out(lambda file: document.write(found, file))
    return found.sweep.exit_code
