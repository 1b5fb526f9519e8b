"""Adds runs to a history file: those that end now, and run directories from before."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os.path import lexists
from pathlib import Path

from chaoskit.analysis import matrix
from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.provenance import load_provenance
from chaoskit.analysis.result import Result
from chaoskit.analysis.suite_result import is_suite_folder, load_suite_result
from chaoskit.clock import wall
from chaoskit.errors import ChaoskitError, SpecError
from chaoskit.folder import display_path
from chaoskit.history.checkout import Revision, revision
from chaoskit.history.file import history_file, reading, require_writable, writing
from chaoskit.history.rows import Origin, rows
from chaoskit.planning.probe_plan import ProbePlan, load_probe_plan
from chaoskit.records.directory import EXPERIMENT, OUTCOME
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request
from chaoskit.records.untrusted_files import open_regular, read_whole
from chaoskit.spec.load import EXPERIMENT as KIND
from chaoskit.spec.load import parse_document
from chaoskit.terminal import complain, note
from chaoskit.units import counted

_VARIANT = re.compile(rb"# the variant (\S.*)")
"""The first line of a variant's file, as `spec.matrix` writes it."""
_OF_NO_MATTER = ("name", "question", "seed")
"""Keys that two experiments may differ in and still be the same; the name is compared by itself."""
_NO_ASKING = ("chaoskit", "seed", "processes", "telemetry", "capture")
"""What two probes may differ in and still be the same."""


@dataclass
class History:
    """The history file that a command writes, the revision that its runs are made at, and the names of those it added.

    `opened` makes it before the first run, so that what is wrong with the file is told before and not after.
    """

    path: Path
    revision: Revision
    added: list[str] = field(default_factory=list)

    @classmethod
    def opened(cls, given: Path, measured: Path | None) -> History:
        """The history of `--history`, for the experiment in this file or, for a probe, the current directory.

        Raises SpecError and RefusedError as `history.file.writing`.
        """
        path = history_file(given)
        require_writable(path)
        folder = measured.absolute().parent if measured is not None else Path.cwd()
        return cls(path, revision(folder, os.environ))

    def keep(self, result: Result, directory: Path) -> None:
        """Add a run with its records in this directory, or say why it is not added: it was made, and counts without."""
        found = origin(directory, self.revision)
        try:
            add(self.path, [(result, found if result.run else replace(found, directory=""))])
            self.added.append(result.name)
        except ChaoskitError as error:
            command = f"chaoskit history add {display_path(directory)} --history {self.path}"
            complain(f"not in the history: {error}{f'; afterwards: {command}' if result.run else ''}")

    def tell(self) -> None:
        """Say on standard error how many runs were added, and what shows them."""
        self._tell(len(self.added), dict.fromkeys(self.added))

    def tell_below(self, folder: Path) -> None:
        """The same of the runs that other processes added, with run directories below this one."""
        below = f"{display_path(folder).absolute()}/"
        with reading(self.path) as connection:
            query = "SELECT count(*) FROM runs WHERE substr(run_directory, 1, ?) = ?"
            self._tell(connection.execute(query, (len(below), below)).fetchone()[0])

    def _tell(self, count: int, names: Iterable[str] = ()) -> None:
        if count:
            show = shlex.join(["chaoskit", "history", *names, "--history", str(self.path)])
            note(f"added {counted(count, 'run')} to {self.path}: {show}")


def add(path: Path, runs: Sequence[tuple[Result, Origin]]) -> int:
    """Add the runs that are not there. Returns how many these are.

    A row that is there stays: a command wrote it as the run began, and knew more of its checkout than the records.
    """
    count = 0
    with writing(path) as connection:
        for result, where in runs:
            (table, run), *below = rows(result, where, _utc(wall()))
            if connection.execute("SELECT 1 FROM runs WHERE id = ?", run[:1]).fetchone():
                continue
            count += 1
            for each, row in ((table, run), *below):
                connection.execute(each.insertion, row)
    return count


def results_in(directory: Path) -> list[tuple[Result, Origin]]:
    """The results in a run directory, that of a matrix, or a suite's folder. Raises SpecError where there is none."""
    if is_suite_folder(directory):
        places = [directory / run.directory for run in load_suite_result(directory).runs if run.directory]
        return [each for place in places for each in results_in(place)]
    if not matrix.is_matrix_run(directory):
        return [(analyse(directory), origin(directory))]
    found = [(each.result, directory / each.name) for each in matrix.load_matrix(directory).variants]
    kept = [(result, origin(place)) for result, place in found if result is not None]
    if not kept:
        raise SpecError(f"no variant in {directory} was run; there is nothing to add")
    return kept


def origin(directory: Path, at: Revision | None = None) -> Origin:
    """What the records in this directory tell of their run; `at` is the revision where it was seen as the run began.

    Of a run from before, only the experiment file is known to be as in the commit, or not. So it is where a command
    that goes on after an interruption is at another commit than the run was.
    """
    known, _ = load_provenance(directory)
    text = read_whole(directory / EXPERIMENT) if lexists(directory / EXPERIMENT) else None
    variant = _VARIANT.match(text) if text is not None else None
    probe = load_probe_plan(directory) if text is None else None
    started = known.started if known is not None and known.started else None
    if known is not None and known.commit and at is not None and at.commit != known.commit:
        at = None
    if at is None:
        at = Revision(known.commit, None, known.is_modified) if known is not None else Revision()
    return Origin(
        started=_utc(started) if started else _written_at(directory / OUTCOME),
        experiment=_digest_of_experiment(text)
        if text is not None
        else _digest_of_probe(probe)
        if probe is not None
        else "",
        records=_digest_of_file(directory / FILES[Request]),
        variant=variant[1].decode(errors="replace").strip() if variant else "",
        file=known.file if known is not None else None,
        commit=at.commit,
        branch=at.branch,
        is_dirty=at.is_dirty,
        directory=str(display_path(directory).absolute()),
    )


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _digest_of_experiment(text: bytes) -> str:
    """Of the file's keys and values, so that --set, which writes them anew, is no other file by itself."""
    try:
        words = parse_document(text.decode(errors="replace"), EXPERIMENT, KIND).words
    except SpecError:
        return _digest(text)
    asked = {key: value for key, value in words.items() if key not in _OF_NO_MATTER}
    return _digest(json.dumps(asked, sort_keys=True).encode())


def _digest_of_file(path: Path) -> str:
    file = open_regular(path)
    if file is None:
        return ""
    with file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def _digest_of_probe(plan: ProbePlan) -> str:
    return _digest(plan.model_dump_json(exclude=set(_NO_ASKING)).encode())


def _utc(stamp: str) -> str:
    """`2026-11-29T21:50:00Z` of a date with an offset."""
    return datetime.fromisoformat(stamp).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _written_at(path: Path) -> str:
    """When a file was written: of a run of an older chaoskit the nearest that is known."""
    return _utc(datetime.fromtimestamp(path.stat().st_mtime if path.exists() else 0, UTC).isoformat())
