"""Opens a history file: checks what it is and whose, and waits for other writers.

Rules: a file of a newer chaoskit, of another program, or that others can write is never changed; a run is one
transaction, so it is whole or not there; a writer waits `WAIT` seconds for the others. The journal is SQLite's default
(rollback), because a file with a write-ahead log needs two more beside it and cannot be read from a read-only folder.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chaoskit import file_trust
from chaoskit.errors import ChaoskitError, RefusedError, SpecError
from chaoskit.history.sql_tables import APPLICATION, TABLES, VERSION

NAME = "history.sqlite3"
"""The file in a directory."""
WAIT = 20.0
"""Seconds that a command waits for one that writes."""
_MAGIC = b"SQLite format 3\0"  # sqlite.org/fileformat2.html
_SUFFIXES = (".sqlite3", ".sqlite", ".db")


def history_file(given: Path) -> Path:
    """The file that `--history DIR|FILE` means: a path with a suffix of SQLite is a file, any other one a directory."""
    if given.is_dir() or (given.suffix not in _SUFFIXES and not given.exists()):
        return given / NAME
    return given


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that writes; the file and its directory are made if they are not there, those above it never.

    Raises SpecError when it is no history, RefusedError when it cannot be written or may not.
    """
    _require_own(path)
    with _translated(path):
        path.parent.mkdir(exist_ok=True)
        with closing(_connect(path, "rwc")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not _is_history(connection, path):
                    _create(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def require_writable(path: Path) -> None:
    """Raises as `writing` where a run could not be added now. The file is made if it is not there."""
    with writing(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION}")  # SQLite finds a read-only file at the first change only


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as it is, unchanged. Raises SpecError when there is none, or it is no history."""
    if not path.exists():
        raise SpecError(
            f"there is no history {path}; chaoskit run FILE --history {shlex.quote(str(path.parent))} begins one, and "
            f"chaoskit history add RUNDIR --history {shlex.quote(str(path.parent))} takes runs that were made before"
        )
    _require_regular(path)
    with _translated(path), closing(_connect(path, "ro")) as connection:
        connection.execute("BEGIN")
        if not _is_history(connection, path):
            raise SpecError(
                f"{path} is empty; chaoskit history add RUNDIR --history {shlex.quote(str(path))} adds a run"
            )
        yield connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
    connection.execute("PRAGMA trusted_schema = OFF")  # what the file brings along is not obeyed (sqlite.org/security)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _is_history(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether it has the tables; not in an empty file. Raises SpecError and RefusedError for anything else."""
    application, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
    )
    if not application and not version and not tables:
        return False
    if application != APPLICATION:
        raise SpecError(f"{path} is an SQLite file of another program, and is left as it is; give another --history")
    if version > VERSION:
        raise RefusedError(
            f"{path} is of a newer chaoskit (version {version} of its tables, this one knows {VERSION}), and is left "
            "as it is; update chaoskit, or give another --history"
        )
    return True


def _create(connection: sqlite3.Connection) -> None:
    for statement in (each for table in TABLES for each in table.statements):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _require_regular(path: Path) -> None:
    """Raise SpecError for what SQLite would wait for, or take for an empty file and write over."""
    if not path.is_file():
        raise SpecError(f"{path} is not a regular file; give another --history")
    with _translated(path), path.open("rb") as file:
        if file.read(len(_MAGIC)) not in (b"", _MAGIC):
            raise SpecError(f"{path} is no SQLite file, and is left as it is; give another --history")


def _require_own(path: Path) -> None:
    """Raise RefusedError where root would write a file that somebody else can change or replace."""
    if path.is_symlink() and not path.exists():
        raise RefusedError(f"{path} is a symbolic link to nothing; remove it, or give another --history")
    if path.exists():
        _require_regular(path)
    elif not path.parent.exists() and not path.absolute().parent.parent.exists():
        above = path.parent.parent
        raise SpecError(f"--history: there is no directory {above}; make it (mkdir -p), or give another --history")
    if os.geteuid() != 0:
        return
    place = next(each for each in (path, *path.absolute().parents) if each.exists())
    if found := file_trust.weakness(place, os.geteuid(), is_parent=place != path):
        remedy = (
            found.remedy or "give another --history, or add the run later as that user: chaoskit history add RUNDIR"
        )
        raise RefusedError(f"{found.reason}, so chaoskit does not write {path} as root: {remedy}")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the system as sentences about the file."""
    try:
        yield
    except ChaoskitError:
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        match code:
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                what = "no SQLite file" if code == sqlite3.SQLITE_NOTADB else "damaged"
                raise SpecError(f"{path} is {what}, and is left as it is; give another --history") from None
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                reason = f"another program has had it locked for {WAIT:.0f} s; end that, and try again"
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                reason = "the disk is full or cannot be written; free some space, and try again"
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
                reason = "it, or its directory, may not be opened or written by you; give another --history"
            case _:
                raise
        raise RefusedError(f"{path}: {reason}") from None
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}; give another --history") from None
