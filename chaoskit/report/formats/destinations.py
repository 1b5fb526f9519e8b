"""Puts a report into a file, into a run directory, or on standard output.

Rules: a file is replaced whole, and keeps its former content until then; it gets the mode of any new file. Nothing goes
to standard output before the whole report is made. A symbolic link is replaced, not followed.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import Result
from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import display_path, why_not_written
from chaoskit.report.formats import FORMATS, source, write
from chaoskit.report.formats.source import Source
from chaoskit.terminal import complain, say_bytes

_IN_MEMORY = 32 << 20  # bytes
_BLOCK = 1 << 20


def write_file(name: str, sources: Sequence[Source], path: Path) -> None:
    """Write this report into a new file, or in the place of one.

    Raises SpecError where it can be no file, and RefusedError when it cannot be written; nothing is left behind then.
    """
    _require_file(path, FORMATS[name].file)
    draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.new")
    try:
        try:
            with draft.open("xb") as file:
                write(name, sources, cast("BinaryIO", file))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            with suppress(OSError):
                draft.unlink()
    except OSError as error:
        raise RefusedError(
            f"cannot write {display_path(path)}: {why_not_written(path, error)}; give another -o"
        ) from error


def _require_file(path: Path, name: str) -> None:
    """Raises SpecError where something else than a file is there, or no folder for it."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        mode = stat.S_IFREG
    if path.is_dir() or str(path).endswith("/") or not path.name:
        raise SpecError(f"{path} is a folder; write -o {path / name}")
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise SpecError(f"{path} is no file; write -o - for standard output")
    if not path.parent.is_dir():
        raise SpecError(f"cannot write {path}: there is no folder {path.parent}; make it: mkdir -p {path.parent}")


def write_output(name: str, sources: Sequence[Source], is_terminal: bool) -> None:
    """Write this report to standard output. Raises SpecError for a binary one on a terminal."""
    if is_terminal and not FORMATS[name].is_text:
        raise SpecError(f"{name} is no text for a terminal; write -o {FORMATS[name].file}")
    try:
        with SpooledTemporaryFile(_IN_MEMORY) as file:
            write(name, sources, cast("BinaryIO", file))
            file.seek(0)
            say_bytes(iter(partial(file.read, _BLOCK), b""))
    except OSError as error:
        raise RefusedError(f"cannot write a temporary file: {error.strerror}; free some space") from error


def write_reports(names: Sequence[str], run: Path, found: Result | MatrixResult) -> None:
    """Write these into the run directory. What cannot be written is said; the verdict counts without it, too."""
    if not names:
        return
    whole = source.of(run, found)
    for name in names:
        try:
            write_file(name, [whole], run / FORMATS[name].file)
        except (SpecError, RefusedError) as error:
            complain(f"no {FORMATS[name].file}: {error}")
