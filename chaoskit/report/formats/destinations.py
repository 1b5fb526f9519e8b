"""Puts a report into a file, a folder, a run directory, or on standard output.

Rules: a file is replaced whole, and keeps its former content until then; it gets the mode of any new file. Nothing goes
to standard output before the whole report is made. A symbolic link is replaced, not followed.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import Result
from chaoskit.analysis.tables.table_columns import SCHEMAS
from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import display_path, why_not_written
from chaoskit.report.formats import FORMATS, source, table_format, write
from chaoskit.report.formats.source import Source
from chaoskit.report.formats.table_files import write_tables
from chaoskit.report.screen import Screen
from chaoskit.terminal import complain, note, say_bytes

STANDARD_OUTPUT = Path("-")
_IN_MEMORY = 32 << 20  # bytes
_BLOCK = 1 << 20
_MOST_ON_A_TERMINAL = 32 << 10  # bytes, some hundred lines


def write_file(name: str, sources: Sequence[Source], path: Path, table: str | None = None) -> None:
    """Write this report, or one table of it, into a new file, or in the place of one.

    Raises SpecError where it can be no file, and RefusedError when it cannot be written; nothing is left behind then.
    """
    usual_name = f"{table}{table_format(name).suffix}" if table else FORMATS[name].file
    replace_file(path, usual_name, lambda file: _write(name, sources, file, table))


def replace_file(path: Path, usual_name: str, make: Callable[[BinaryIO], None]) -> None:
    """The same for what `make` writes."""
    _require_file(path, usual_name)
    with _translated(path), _drafts([path]) as (file,):
        make(file)


def write_content(content: bytes, path: Path, usual: str) -> None:
    """Write this into a new file, or in the place of one; `usual` is what such a file is called. Raises likewise."""
    _require_file(path, usual)
    with _translated(path), _drafts([path]) as (file,):
        file.write(content)


def write_folder(name: str, sources: Sequence[Source], folder: Path) -> None:
    """Write each table of this format into a file of this folder, which is made if it is missing. Raises likewise."""
    form = table_format(name)
    with _made(folder, f"{name} is a file for each table"), _translated(folder):
        paths = {schema.name: folder / f"{schema.name}{form.suffix}" for schema in SCHEMAS}
        with _drafts([*paths.values()]) as files:
            write_tables(form, sources, dict(zip(paths, files, strict=True)))


def write_each(writers: Mapping[str, Callable[[Path], None]], out: Path | None) -> None:
    """Write these files, by their names, into the folder `out`, and say so. Raises likewise."""
    if out is None or out == STANDARD_OUTPUT:
        raise SpecError(f"{len(writers)} formats are as many files; write -o DIR")
    with _made(out, "several formats are several files"):
        for name, write_it in writers.items():
            write_it(out / name)
            note(f"wrote {out / name}")


def write_usual(name: str, sources: Sequence[Source], path: Path) -> None:
    """Write this format at this path, as it is in a run directory: a file, or a folder of tables. Raises likewise."""
    put = write_folder if FORMATS[name].has_tables else write_file
    put(name, sources, path)


@contextmanager
def _made(folder: Path, why: str) -> Iterator[None]:
    """A folder that is made if it is missing, and removed if nothing was written. `why` it has to be one."""
    if folder.exists() and not folder.is_dir():
        raise SpecError(f"{folder} is no folder, and {why}; give another -o")
    if not folder.exists() and not folder.parent.is_dir():
        raise SpecError(f"cannot write {folder}: there is no folder {folder.parent}; make it: mkdir -p {folder.parent}")
    is_new = not folder.exists()
    with _translated(folder):
        folder.mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if is_new:
                folder.rmdir()
        raise


@contextmanager
def _drafts(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """New files that take the places of these when all are written, and vanish when anything fails."""
    drafts = [path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.new") for path in paths]
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(draft.open("xb")) for draft in drafts]
            yield cast("list[BinaryIO]", files)
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    finally:
        for draft in drafts:
            with suppress(OSError):
                draft.unlink()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RefusedError(
            f"cannot write {display_path(path)}: {why_not_written(path, error)}; give another -o"
        ) from error


def _write(name: str, sources: Sequence[Source], file: BinaryIO, table: str | None) -> None:
    if table is None:
        write(name, sources, file)
    else:
        write_tables(table_format(name), sources, {table: file})


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


def write_output(name: str, sources: Sequence[Source], table: str | None = None) -> None:
    """Write this report, or one table of it, to standard output. Raises as `put_out`."""
    form = table_format(name) if table else None
    usual_name, is_text = (
        (f"{table}{form.suffix}", form.is_text) if form else (FORMATS[name].file, FORMATS[name].is_text)
    )
    put_out(lambda file: _write(name, sources, file, table), usual_name, is_text)


def put_out(make: Callable[[BinaryIO], object], usual_name: str, is_text: bool = True) -> None:
    """Write what `make` writes to standard output, once it is whole; `usual_name` is that of such a file.

    Raises RefusedError, and SpecError for what nobody can read on a terminal.
    """
    is_terminal = Screen().file.isatty()
    if is_terminal and not is_text:
        raise SpecError(f"that is no text for a terminal; write -o {usual_name}")
    try:
        with SpooledTemporaryFile(_IN_MEMORY) as file:
            make(cast("BinaryIO", file))
            if is_terminal and file.tell() > _MOST_ON_A_TERMINAL:
                size = f"{file.tell() // 1000} kB"
                raise SpecError(f"{size} would fill the terminal; write -o {usual_name}, or page through it: | less")
            file.seek(0)
            say_bytes(iter(partial(file.read, _BLOCK), b""))
    except OSError as error:
        raise RefusedError(f"cannot write a temporary file: {error.strerror}; free some space") from error


def write_reports(names: Sequence[str], run: Path, found: Result | MatrixResult) -> None:
    """Write these into the run directory, and say so. The verdict counts without what cannot be written, too."""
    if not names:
        return
    whole = source.of(run, found)
    for name in names:
        path = run / FORMATS[name].file
        try:
            write_usual(name, [whole], path)
        except (SpecError, RefusedError) as error:
            complain(f"no {FORMATS[name].file}: {error}")
        else:
            note(f"wrote {display_path(path)}")
