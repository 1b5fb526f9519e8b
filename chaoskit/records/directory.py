"""Creates a run directory, which must be new, and records the outcome of the run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import PUBLIC, Folder, display_path, is_full, pinned, why_not_written

OUTCOME = "outcome.json"
EXPERIMENT = "experiment.yaml"
PLAN = "plan.json"
PROBE = "probe.json"
PROVENANCE = "provenance.json"
MACHINE = "machine.json"
UNCOMPRESSED = "uncompressed"
"""The folder of a probe's further requests, which accept no compression: a run directory of its own."""
WORKLOADS = "workloads"
"""The folder of a run's other workloads; the records of each are in a folder of its name."""
_MAX_SAME_NAME = 1000
_OUTCOME_SIZE = 4096  # bytes: a block of most filesystems
_BEFORE_DIFFERENCE = 60  # bytes of a line that are shown before its difference


def create(run: Path, files: dict[str, str]) -> Path:
    """Create the directory with these files in it.

    Returns a path to this directory that stays valid even if it or a parent is renamed: see `chaoskit.folder.pinned`.
    The directory is locked as long as this process or a child lives: see `is_running`.
    Other users may read its contents and not write them, whatever the umask.
    Raises SpecError when it is not empty, RefusedError when it is owned by another user or cannot be written.
    """
    try:
        with claim(run) as folder:
            for name, text in files.items():
                _write(folder, name, text.encode())
            _write(
                folder, OUTCOME, _outcome("interrupted", "killed before its outcome was recorded").ljust(_OUTCOME_SIZE)
            )
            with suppress(OSError):  # a filesystem without locks
                fcntl.flock(folder.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return pinned(folder)
    except OSError as error:
        raise cannot_write(run, error) from error


def claim(run: Path) -> Folder:
    """The directory, made with its parents, or empty and the effective user's. Raises as `create`, and OSError."""
    folder = _make_folder(run)
    try:
        folder.require_own()
        if folder.names():
            raise SpecError(f"{display_path(run)} is not empty, and a run is never written over; give another --out")
    except BaseException:
        folder.close()
        raise
    return folder


def create_next(run: Path, files: dict[str, str]) -> Path:
    """As `create`, with a number after the name when a directory of that name exists: runs of the same second."""
    return create(make_next(run), files)


def make_next(run: Path) -> Path:
    """A new directory, with a number after its name when one of that name exists. Raises RefusedError."""
    for number in range(1, _MAX_SAME_NAME):
        place = run if number == 1 else run.with_name(f"{run.name}-{number}")
        try:
            _make_parents(place)
            place.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(place, error) from error
        return place
    raise RefusedError(f"{display_path(run)} exists with {_MAX_SAME_NAME - 1} numbers after it; give another --out")


def cannot_write(run: Path, error: OSError) -> RefusedError:
    """The error for a directory that cannot be made or written."""
    reason = why_not_written(run, error)
    first = "free some space, or " if is_full(error) else ""
    return RefusedError(f"cannot write the run directory {display_path(run)}: {reason}; {first}give another --out")


def _make_parents(run: Path) -> None:
    for parent in reversed(run.parents):
        if not parent.is_dir():
            parent.mkdir(exist_ok=True)
            parent.chmod(PUBLIC)


def _make_folder(run: Path) -> Folder:
    """Create the directory, which must not be a symbolic link, and its parents."""
    _make_parents(run)
    try:
        with Folder.open(run.parent, follow=True) as parent_folder:
            return parent_folder.make(run.name)
    except FileExistsError:
        return Folder.open(run)


def _write(folder: Folder, name: str, content: bytes) -> None:
    with open(folder.create(name), "wb") as file:  # noqa: PTH123  a descriptor, not a path
        file.write(content)


def is_running(run: Path) -> bool:
    """Whether the process that created this run directory, or a child, still lives on this machine."""
    try:
        fd = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def is_locked(lock: Path) -> bool:
    """Whether a process works in the folder of this lock. One whose lock cannot be examined may be at work."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def conclude(run: Path, how: str, detail: str) -> None:
    """Record the outcome of a run, in space that was allocated at the start: the disk may be full."""
    path = run / OUTCOME
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(_outcome(how, detail))
        file.truncate()


def kept_records(run: Path) -> str:
    """Where the records of a run are, and how to see them, after an interruption."""
    return f"the records are kept: chaoskit report {display_path(run)}"


def first_difference(one: Path, other: Path) -> str:
    """The first difference between two run directories, file and line, and in what other files there are some.

    "" when all their files are equal. Ignores `*.log`, the console output, and `provenance.json`, which has the date.
    """
    names = sorted({name for run in (one, other) for name in _files(run)})
    told = {
        name: first
        for name in names
        if not name.endswith(".log") and name != PROVENANCE and (first := _first_in(one / name, other / name))
    }
    first, *others = [f"{name} {what}" for name, what in told.items()] or [""]
    return f"{first}; also in {', '.join(list(told)[1:])}" if others else first


def _first_in(one: Path, other: Path) -> str:
    for number, (left, right) in enumerate(zip_longest(_lines(one), _lines(other)), 1):
        if left != right:
            return f"line {number}: {_difference(left, right)}"
    return ""


def _files(run: Path) -> Iterator[str]:
    """Its files, and those of its other workloads."""
    yield from (path.name for path in run.iterdir() if path.is_file())
    yield from (str(path.relative_to(run)) for path in run.glob(f"{WORKLOADS}/*/*"))


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without line ends, one by one: a file may exceed the memory."""
    if path.exists():
        with path.open("rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def _difference(left: bytes | None, right: bytes | None) -> str:
    """What two lines, or "nothing", have from shortly before the first byte that differs."""
    same = next((at for at, (one, other) in enumerate(zip(left or b"", right or b"", strict=False)) if one != other), 0)
    begin = max(0, same - _BEFORE_DIFFERENCE)
    return " and ".join("nothing" if line is None else _excerpt(line, begin) for line in (left, right))


def _excerpt(line: bytes, begin: int) -> str:
    return ("..." if begin else "") + repr(line[begin : begin + 100].decode(errors="replace"))


def _outcome(how: str, detail: str) -> bytes:
    return json.dumps({"how": how, "detail": detail[: _OUTCOME_SIZE // 8]}).encode() + b"\n"
