"""Runs each experiment once in a test session, whichever processes of pytest-xdist need its result.

All workers of a session share a folder. In it, each experiment has a lock, which the worker that runs it holds, and a
note, written when the run has ended: its run directory, or why there is none. A worker that dies with a lock leaves no
note, and the next one runs the experiment again, in a directory of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chaoskit import child_command
from chaoskit.errors import RefusedError
from chaoskit.records.directory import PLAN

if TYPE_CHECKING:
    from chaoskit.analysis.result import Result
    from chaoskit.analysis.suite_result import SuiteResult

SUMMARY = "gameday.json"  # as of analysis.suite_result, which takes long to import
_MOST_SAME_NAME = 1000


class NoResult(Exception):
    """An experiment has no result: it could not be run. The message is one sentence, `code` its exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Wanted:
    """An experiment file, its variant, and the options of `chaoskit run` beside these; or a suite of `gameday`."""

    file: Path
    variant: str = ""
    options: tuple[str, ...] = ()
    command: Literal["run", "gameday"] = "run"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command line, but for the run directory."""
        return (self.command, str(self.file), *(("--variant", self.variant) if self.variant else ()), *self.options)

    @property
    def key(self) -> str:
        """The same for the same run in every process."""
        return hashlib.sha256("\0".join(self.words).encode(errors="surrogateescape")).hexdigest()[:24]

    @property
    def folder(self) -> str:
        """A readable name for its run directory."""
        return re.sub(r"[^\w.=+-]+", "-", "-".join(filter(None, (self.file.stem, self.variant)))).lstrip(".-") or "run"


@dataclass
class SharedRuns:
    """The runs of a session: `shared` is the folder of all its workers, `out` where the run directories are made."""

    shared: Path
    out: Path
    _results: dict[str, Result | NoResult] = field(default_factory=dict, repr=False)

    def result(self, wanted: Wanted) -> Result:
        """The result of its only run, which is now if no worker has run it. Raises NoResult."""
        if wanted.key not in self._results:
            self._results[wanted.key] = _read(self._note(wanted))
        found = self._results[wanted.key]
        if isinstance(found, NoResult):
            raise found
        return found

    def suite(self, wanted: Wanted) -> SuiteResult:
        """The same of a suite. Raises NoResult."""
        from chaoskit.analysis.suite_result import load_suite_result

        note = self._note(wanted)
        if "run" not in note:
            raise NoResult(str(note["sentence"]), int(note["code"]))
        return load_suite_result(Path(str(note["run"])))

    def _note(self, wanted: Wanted) -> dict[str, str | int]:
        with self._locked(wanted.key) as note:
            if not note.exists():
                _write(note, self._run(wanted))
            found: dict[str, str | int] = json.loads(note.read_text())
            return found

    def run_alone(self, wanted: Wanted) -> Result:
        """The result of another run, shared with nobody. Raises NoResult."""
        __tracebackhide__ = True
        found = _read(self._run(wanted))
        if isinstance(found, NoResult):
            raise found
        return found

    def new_directory(self, name: str) -> Path:
        """An empty directory of this name in `out`, with a number after it if the name is taken."""
        self.out.mkdir(parents=True, exist_ok=True)
        for number in range(1, _MOST_SAME_NAME):
            place = self.out / (name if number == 1 else f"{name}-{number}")
            try:
                place.mkdir()
            except FileExistsError:
                continue
            return place
        raise RefusedError(f"{self.out / name} exists with {_MOST_SAME_NAME - 1} numbers after it: give another folder")

    @contextmanager
    def _locked(self, key: str) -> Iterator[Path]:
        """Hold the lock of a run; the path of its note."""
        self.shared.mkdir(parents=True, exist_ok=True)
        with (self.shared / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.shared / f"{key}.json"

    def _run(self, wanted: Wanted) -> dict[str, str | int]:
        try:
            run = self.new_directory(wanted.folder)
            ended = child_command.run(*wanted.words, "--out", str(run))
        except RefusedError as error:
            return {"code": error.exit_code, "sentence": str(error)}
        except OSError as error:
            return {"code": RefusedError.exit_code, "sentence": f"{error.filename}: {error.strerror}"}
        if (run / (PLAN if wanted.command == "run" else SUMMARY)).exists():
            return {"code": ended.code, "run": str(run)}
        with suppress(OSError):  # there is more than was expected, and it is kept
            run.rmdir()
        return {"code": ended.code, "sentence": ended.sentence}


def _write(note: Path, content: dict[str, str | int]) -> None:
    draft = note.with_suffix(".new")
    draft.write_text(json.dumps(content))
    draft.replace(note)


def _read(note: dict[str, str | int]) -> Result | NoResult:
    from chaoskit.analysis.analyse import analyse
    from chaoskit.errors import ChaoskitError

    if "run" not in note:
        return NoResult(str(note["sentence"]), int(note["code"]))
    try:
        return analyse(Path(str(note["run"])))
    except ChaoskitError as error:
        return NoResult(str(error), error.exit_code)
