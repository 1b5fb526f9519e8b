"""Joins the records of several processes, each in a folder of its own, to one run directory.

Rules: the lines of a process stay in their order; a torn last line, of a process that was killed, is left out; a file
is deleted when all of it is in the joined one, so that a full disk loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.records.jsonl import FILES

_BLOCK = 1 << 20  # bytes


def join(run: Path, parts: Sequence[Path]) -> None:
    """Move the records in the folders `parts` to the files of `run`, and delete the folders.

    Raises RefusedError when they cannot be written; what is not joined is kept.
    """
    try:
        for name in FILES.values():
            for part in parts:
                if (part / name).exists():
                    _append(part / name, run / name)
        for part in parts:
            part.rmdir()
    except OSError as error:
        raise RefusedError(
            f"cannot join the records in {display_path(run)}: {error.strerror}; they are kept in its folders "
            f"{', '.join(part.name for part in parts if part.exists())}; free some space or use --out"
        ) from error


def _append(source: Path, target: Path) -> None:
    """The whole lines of a file at the end of another one, and delete it. After an error the other one is as before."""
    with source.open("rb") as lines, target.open("ab") as joined:
        former = joined.seek(0, 2)
        try:
            _copy(lines, joined)
            joined.flush()
        except OSError:
            joined.truncate(former)
            raise
    source.unlink()


def _copy(lines: BinaryIO, joined: BinaryIO) -> None:
    torn = b""
    while block := lines.read(_BLOCK):
        whole, newline, rest = block.rpartition(b"\n")
        if newline:
            joined.write(torn + whole + newline)
            torn = rest
        else:
            torn += block
