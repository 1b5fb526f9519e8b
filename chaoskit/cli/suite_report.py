"""Shows the result of a suite, from the summary in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.analysis.suite_result import load_suite_result
from chaoskit.errors import SpecError
from chaoskit.report.formats import chosen
from chaoskit.report.formats.destinations import put_out, replace_file
from chaoskit.report.screen import Screen
from chaoskit.report.suite import headline, render, summary
from chaoskit.report.suite_documents import DOCUMENTS, writer
from chaoskit.terminal import note


def report_suite(folders: Sequence[Path], format: str, out: Path | None) -> int:
    """Show it on the screen, on standard output, or in a file. Returns its exit code."""
    (name,) = chosen([format])[:1]
    (folder, *others) = folders
    if others:
        raise SpecError(f"{folder} is the folder of a suite, which is shown alone; leave out {others[0]}")
    found = load_suite_result(folder)
    if name not in DOCUMENTS:
        run = next((run.directory for run in found.runs if run.directory), "RUN")
        raise SpecError(
            f"{name} shows runs, and {folder} is the folder of a suite: chaoskit report {folder / run} "
            f"--format {name}; of a suite there are {', '.join(DOCUMENTS)}"
        )
    document = DOCUMENTS[name]
    if out is not None and str(out) != "-":
        replace_file(out, document.file, writer(name, found, out.parent))
        note(f"{out}: {headline(found)}, {summary(found)}")
    elif name == "console":
        render(found, Screen())
    else:
        put_out(writer(name, found, Path()))
    return found.exit_code
