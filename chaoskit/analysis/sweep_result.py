"""Defines the journal of a sweep, `sweep.json`; what was measured is in `sweep_points`.

Rules: a cell is `running` in it before it begins. What has a verdict is never run again; everything else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaoskit import __version__
from chaoskit.errors import EXIT_UNDECIDED, VERDICTS, NotRestoredError, RefusedError, SpecError
from chaoskit.folder import display_path
from chaoskit.records.directory import is_locked
from chaoskit.records.untrusted_files import damage_error, parse_json, read_document
from chaoskit.terminal import ascii_json

JOURNAL, LOCK = "sweep.json", "sweep.lock"

CellState = Literal["waiting", "running", "ended", "interrupted", "not-run"]
SweepStatus = Literal["running", "finished", "interrupted", "stopped"]
Kept = Literal["runs", "results"]
_VERDICTS: Mapping[int, str] = {0: "met", 1: "broken", EXIT_UNDECIDED: "undecided"}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SweepPoint(_Frozen):
    """One combination of values. `values`: a name for that on each axis."""

    name: str
    values: tuple[str, ...]


class SweepCell(_Frozen):
    """One run of a sweep; its directory is that of its name. `point` is the place of its point."""

    name: str
    point: int
    seed: int
    state: CellState = "waiting"
    code: int | None = Field(default=None, description="The exit code of its run; null: it has not ended.")
    reason: str = Field(default="", description="Why it has no result.")
    seconds: float = Field(default=0.0, description="How long it took, by the clock on the wall.")

    @property
    def verdict(self) -> str | None:
        """`met`, `broken`, `undecided`, or `failed` without a result; None before its end."""
        return _VERDICTS.get(self.code or 0, "failed") if self.state == "ended" else None

    @property
    def has_result(self) -> bool:
        """Whether it measured something."""
        return self.state == "ended" and self.code in VERDICTS


class SweepResult(_Frozen):
    """All cells of a sweep in their order. `paths` are those that were varied, `axes` their short names."""

    schema_version: Literal[1] = 1
    chaoskit: str = __version__
    name: str
    question: str
    file: str
    fingerprint: str = Field(description="Of the file and the values that were set: only the same one is resumed.")
    folder: str = Field(default="", exclude=True, description="The sweep's folder; not part of the file.")
    has_objectives: bool
    keep: Kept
    warnings: tuple[str, ...] = Field(default=(), description="Of the experiment file, before the first run.")
    status: SweepStatus = "running"
    detail: str = ""
    started: str
    seconds: float = 0.0
    axes: tuple[str, ...]
    paths: tuple[str, ...]
    points: tuple[SweepPoint, ...]
    cells: tuple[SweepCell, ...]

    @property
    def exit_code(self) -> int:
        """What the command line returns; an objective that is broken at some dose is no failure of a sweep."""
        failed = [cell.code for cell in self.cells if cell.verdict == "failed"]
        if NotRestoredError.exit_code in failed:
            return NotRestoredError.exit_code
        if self.status == "interrupted":
            return 143 if self.detail == "SIGTERM" else 130
        if self.status == "stopped" or (failed and not self.has_results):
            return RefusedError.exit_code
        return EXIT_UNDECIDED if failed or self.status == "running" else 0

    @property
    def has_results(self) -> bool:
        """Whether a cell measured something."""
        return any(cell.has_result for cell in self.cells)

    def cells_of(self, point: int) -> tuple[SweepCell, ...]:
        """The repeats of a point."""
        return tuple(cell for cell in self.cells if cell.point == point)


def is_sweep_folder(path: Path) -> bool:
    """Whether this folder is that of a sweep."""
    return (path / JOURNAL).is_file()


def load_sweep(path: Path) -> SweepResult:
    """The journal in this folder. Raises SpecError when there is none, or it is damaged."""
    file = path / JOURNAL
    text = read_document(file)
    if text is None:
        raise SpecError(f"{path} is no folder of a sweep: it has no {JOURNAL}; chaoskit sweep FILE makes one")
    found = _parsed(file, parse_json(text))
    if found.status == "running" and not is_locked(path / LOCK):
        found = ended(found, "interrupted", "killed")
    return found.model_copy(update={"folder": str(display_path(path))})


def _parsed(file: Path, words: Any) -> SweepResult:
    try:
        return SweepResult.model_validate(words)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("schema_version",):
            raise SpecError(f"{file}: another schema than this chaoskit's; use the chaoskit that wrote it") from None
        where = ".".join(map(str, first["loc"])) or "the file"
        raise damage_error(file, f"{where}: {first['msg']}") from None


def as_json(found: SweepResult) -> str:
    """The text of the journal."""
    return ascii_json(found.model_dump_json(indent=1)) + "\n"


def ended(sweep: SweepResult, status: SweepStatus, detail: str = "") -> SweepResult:
    """The same at its end: what has not begun by then is not run, and what runs was interrupted."""
    states: dict[CellState, CellState] = {"waiting": "not-run", "running": "interrupted"}
    cells = tuple(cell.model_copy(update={"state": states.get(cell.state, cell.state)}) for cell in sweep.cells)
    return sweep.model_copy(update={"status": status, "detail": detail, "cells": cells})
