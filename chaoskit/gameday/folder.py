"""Holds the folder of a suite: its lock, its summary, and a run directory for each run.

gameday.json      the summary, replaced atomically after each change
gameday.yaml      the suite file as it was
NAME/             the run directory of each run, or of its matrix
commands.log      what the commands of the suite wrote
interrupted.runs/ the directories of runs that were interrupted and repeated
"""

from __future__ import annotations

import os
from pathlib import Path

from chaoskit.analysis.suite_result import LOCK, SUMMARY, SuiteResult, as_json, load_suite_result
from chaoskit.errors import SpecError
from chaoskit.folder import display_path
from chaoskit.records.directory import make_next
from chaoskit.workers.runs_folder import RunsFolder

COPY = "gameday.yaml"


class GamedayFolder(RunsFolder):
    """The folder, held open and locked; a context manager."""

    @classmethod
    def create(cls, place: Path, is_named: bool, text: str) -> GamedayFolder:
        """A new one with this suite file; one that is not named gets a number if it exists.

        Raises SpecError where it is not empty, RefusedError where it cannot be written.
        """
        place = place if is_named else make_next(place)
        if os.path.lexists(place / SUMMARY):
            raise SpecError(f"{display_path(place)} is the folder of a suite: --resume goes on with it")
        return cls.make(place, LOCK, {COPY: text})

    @classmethod
    def resume(cls, place: Path, fingerprint: str) -> tuple[GamedayFolder, SuiteResult]:
        """An existing one, and its summary. Raises SpecError where it is another suite's, RefusedError in use."""
        load_suite_result(place)
        held = cls.open(place, LOCK)
        found = load_suite_result(place)  # which the former owner may have changed until it had the lock
        if found.fingerprint != fingerprint:
            held.close()
            raise SpecError(
                f"{display_path(place)} is of {found.file}, and that or an experiment of it is another now; "
                "give another --out, without --resume"
            )
        return held, found

    def write_summary(self, found: SuiteResult) -> None:
        """Replace the summary. Raises RefusedError when it cannot be written; the old one is then unchanged."""
        self.write(SUMMARY, as_json(found), f"repeat the command with --out {display_path(self.path)} --resume")


def latest(parent: Path, name: str) -> Path:
    """The latest folder of this suite in the folder where they are without --out. Raises SpecError."""
    try:
        named = (each for each in parent.iterdir() if each.name.startswith(f"{name}-2"))
        found = sorted(each for each in named if (each / SUMMARY).exists())
    except OSError:
        found = []
    if not found:
        raise SpecError(f"--resume: there is no folder of {name} in {parent}; name one by --out, or leave --resume out")
    return found[-1]
