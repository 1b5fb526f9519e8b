"""Shows the result of a suite, from the summary in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from chaoskit.analysis.suite_result import SuiteResult, load_suite_result
from chaoskit.errors import SpecError
from chaoskit.report.formats.destinations import STANDARD_OUTPUT, put_out, replace_file, write_each
from chaoskit.report.screen import Screen
from chaoskit.report.suite import headline, render, summary
from chaoskit.report.suite_documents import DOCUMENTS, writer
from chaoskit.terminal import note


def report_suite(folders: Sequence[Path], names: Sequence[str], out: Path | None) -> int:
    """Show it on the screen, on standard output, in a file, or in several. Returns its exit code."""
    (folder, *others) = folders
    if others:
        raise SpecError(f"{folder} is the folder of a suite, which is shown alone; leave out {others[0]}")
    found = load_suite_result(folder)
    if name := next((each for each in names if each not in DOCUMENTS), None):
        run = next((run.directory for run in found.runs if run.directory), "RUN")
        raise SpecError(
            f"{name} shows runs, and {folder} is the folder of a suite: chaoskit report {folder / run} "
            f"--format {name}; of a suite there are {', '.join(DOCUMENTS)}"
        )
    if len(names) > 1:
        write_each({DOCUMENTS[each].file: partial(_write, found, each) for each in names}, out)
        return found.exit_code
    if out is not None and out != STANDARD_OUTPUT:
        _write(found, names[0], out)
        note(f"{out}: {headline(found)}, {summary(found)}")
    elif names[0] == "console":
        render(found, Screen())
    else:
        put_out(writer(names[0], found, Path()), DOCUMENTS[names[0]].file)
    return found.exit_code


def _write(found: SuiteResult, name: str, path: Path) -> None:
    replace_file(path, DOCUMENTS[name].file, writer(name, found, path.parent))
