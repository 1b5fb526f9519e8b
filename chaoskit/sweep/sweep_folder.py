"""Holds the folder of a sweep: its journal, its run directories, and what each point measured.

sweep.json        the journal: every cell and how it ended, replaced atomically before and after each cell
experiment.yaml   the experiment file as it was
NAME/             the run directory of each cell: loss=1%,seed=7
points/NAME.json  what a point measured, over all its repeats: loss=1%
interrupted.runs/ the directories of runs that were interrupted and repeated
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from chaoskit.analysis.result_file import NAME as RESULT
from chaoskit.analysis.sweep_points import POINTS, MeasuredPoint
from chaoskit.analysis.sweep_result import JOURNAL, LOCK, SweepResult, as_json, load_sweep
from chaoskit.errors import SpecError
from chaoskit.folder import Folder, display_path
from chaoskit.records.directory import EXPERIMENT, OUTCOME, PLAN, PROVENANCE, make_next
from chaoskit.terminal import ascii_json
from chaoskit.workers.runs_folder import RunsFolder

_RESULTS = frozenset({EXPERIMENT, PLAN, PROVENANCE, OUTCOME, RESULT})
"""The files of a run that stay where only results are kept."""


class SweepFolder(RunsFolder):
    """The folder, held open and locked; a context manager."""

    @classmethod
    def create(cls, place: Path, is_named: bool, text: str) -> SweepFolder:
        """A new one with this experiment file; one that is not named gets a number if it exists.

        Raises SpecError where it is not empty, RefusedError where it cannot be written.
        """
        place = place if is_named else make_next(place)
        if os.path.lexists(place / JOURNAL):
            raise SpecError(f"{display_path(place)} is the folder of a sweep: --resume goes on with it")
        return cls.make(place, LOCK, {EXPERIMENT: text})

    @classmethod
    def resume(cls, place: Path, fingerprint: str) -> tuple[SweepFolder, SweepResult]:
        """An existing one, and its journal. Raises SpecError where it is another sweep's, RefusedError in use."""
        load_sweep(place)
        held = cls.open(place, LOCK)
        found = load_sweep(place)  # which the former owner may have changed until it had the lock
        if found.fingerprint != fingerprint:
            held.close()
            raise SpecError(
                f"{display_path(place)} is a sweep of {found.file}, and that, or a value of --set, is another now; "
                "give another --out, without --resume"
            )
        return held, found

    @property
    def remedy(self) -> str:
        """What goes on with it."""
        return f"repeat the command with --out {display_path(self.path)} --resume"

    def write_journal(self, found: SweepResult) -> None:
        """Replace the journal. Raises RefusedError when it cannot be written; the old one is then unchanged."""
        self.write(JOURNAL, as_json(found), self.remedy)

    def write_point(self, point: MeasuredPoint) -> None:
        """Write what a point measured. Raises RefusedError."""
        text = ascii_json(point.model_dump_json(indent=1)) + "\n"
        try:
            with self._points() as points:
                points.replace(f"{point.name}.json", text.encode())
        except OSError as error:
            raise self.cannot_write(f"{POINTS}/{point.name}.json", error, self.remedy) from error

    def _points(self) -> Folder:
        """The folder of what points measured, which the first one makes. Raises OSError."""
        try:
            return self.folder.make(POINTS)
        except FileExistsError:
            return self.folder.folder(POINTS)

    def forget_point(self, name: str) -> None:
        """Remove what a point measured: more of its cells will run."""
        with suppress(OSError), self.folder.folder(POINTS) as points:
            points.remove(f"{name}.json")

    def has_records(self, cell: str) -> bool:
        """Whether what a run recorded is there."""
        try:
            return any(entry.name not in _RESULTS for entry in (self.path / cell).iterdir())
        except OSError:
            return False

    def drop_records(self, cell: str) -> None:
        """Remove what a run recorded, and keep its result."""
        with suppress(OSError):
            for entry in list((self.path / cell).iterdir()):
                if entry.name not in _RESULTS:
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
