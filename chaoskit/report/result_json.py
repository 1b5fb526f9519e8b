"""Writes `result.json` atomically."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import Result
from chaoskit.analysis.result_file import NAME
from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.report.headline import headline
from chaoskit.terminal import ascii_json


def as_json(result: Result | MatrixResult) -> str:
    """The text of the file, of one result or of a whole matrix, with the headline of each."""
    return ascii_json(_with_headlines(result).model_dump_json(indent=1)) + "\n"


def _with_headlines(found: Result | MatrixResult) -> Result | MatrixResult:
    mine: dict[str, object] = {"headline": headline(found)}
    if not isinstance(found, Result):
        mine["variants"] = tuple(
            row if row.result is None else row.model_copy(update={"result": _with_headlines(row.result)})
            for row in found.variants
        )
    return found.model_copy(update=mine)


def write_result(result: Result, run: Path) -> Path:
    """Write it into the run directory: a reader sees the old file or the new one, never a part.

    Raises RefusedError when it cannot be written; the old file is then unchanged.
    """
    path, draft = run / NAME, run / f".{NAME}.new"
    try:
        draft.unlink(missing_ok=True)
        with draft.open("x") as file:
            file.write(as_json(result))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise RefusedError(
            f"cannot write {display_path(path)}: {error.strerror}; free some space, then: "
            f"chaoskit report {display_path(run)}"
        ) from error
    return path
