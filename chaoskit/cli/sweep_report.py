"""Shows what a sweep measured, from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from chaoskit.analysis.sweep_points import SweepMeasurement, load_measurement
from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.errors import SpecError
from chaoskit.report.formats.destinations import STANDARD_OUTPUT, put_out, replace_file, write_each
from chaoskit.report.screen import Screen
from chaoskit.report.sweep_console import headline, render, summary
from chaoskit.report.sweep_documents import DOCUMENTS, Document, chosen
from chaoskit.terminal import note


def report_sweep(folders: Sequence[Path], formats: Sequence[str], out: Path | None) -> int:
    """Show it on the screen, on standard output, in a file, or in several. Returns its exit code."""
    names = chosen(formats)
    (folder, *others) = folders
    if others:
        raise SpecError(f"{folder} is the folder of a sweep, which is shown alone; leave out {others[0]}")
    found = load_measurement(load_sweep(folder), folder)
    if len(names) > 1:
        write_each({DOCUMENTS[name].file: partial(_write, found, DOCUMENTS[name]) for name in names}, out)
        return found.sweep.exit_code
    document = DOCUMENTS[names[0]]
    if out is not None and out != STANDARD_OUTPUT:
        _write(found, document, out)
        note(f"{out}: {headline(found.sweep)}, {summary(found.sweep)}")
    elif names[0] == "console":
        render(found, Screen())
    else:
        put_out(lambda file: document.write(found, file), document.file, document.is_text)
    return found.sweep.exit_code


def _write(found: SweepMeasurement, document: Document, path: Path) -> None:
    replace_file(path, document.file, partial(document.write, found))
