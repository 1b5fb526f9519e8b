"""Adds the runs of a suite to a history, in the order of the suite, once they have ended.

Whether they ran here or on other machines, it is this process that writes the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chaoskit.analysis.result_file import read_result
from chaoskit.analysis.suite_result import SuiteResult
from chaoskit.errors import SpecError
from chaoskit.history.adding import History
from chaoskit.spec.suite_load import LoadedSuite, SuiteRun


class SuiteHistory:
    """The history file of `--history`, with the revisions at which the experiments were made.

    Raises SpecError and RefusedError, before the first run, for a file that cannot be written.
    """

    def __init__(self, given: Path, loaded: LoadedSuite) -> None:
        self._runs = loaded.runs
        self._of_suite = History.opened(given, loaded.file)
        files = {run.file.parent: run.file for run in loaded.runs}
        self._of_folder = {folder: History.opened(given, file) for folder, file in files.items()}

    def keep(self, found: SuiteResult, folder: Path) -> None:
        """Add every run that has a result in this folder of the suite; those that are there stay."""
        rows = {row.name: row for row in found.runs}
        for run in self._runs:
            for place in _run_directories(run, folder / rows[run.name].directory) if rows[run.name].directory else ():
                try:
                    result = read_result(place)
                except SpecError:
                    continue  # it was refused
                self._of_folder[run.file.parent].keep(result, place)

    def tell(self, folder: Path) -> None:
        """Say how many runs of this folder are in the history."""
        self._of_suite.tell_below(folder)


def _run_directories(run: SuiteRun, directory: Path) -> Iterator[Path]:
    """That of the run; of a matrix, those of its variants in their order."""
    is_matrix = bool(run.variants.axes) and run.variant is None
    yield from (directory / each.name for each in run.variants.each) if is_matrix else (directory,)
