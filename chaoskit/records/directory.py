"""A run's own folder: made new, never written into twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.folder import PUBLIC, Folder, display_path, pinned

OUTCOME = "outcome.json"
EXPERIMENT = "experiment.yaml"
PLAN = "plan.json"
MACHINE = "machine.json"
_ROOM = 4096  # bytes: a block of most filesystems


def create(run: Path, files: dict[str, str]) -> Path:
    """Make the folder with these first files in it.

    Returns a path that leads to this very folder even if somebody renames it, or what leads to it: see
    `chaoskit.folder.pinned`. Others may read what is in it, and write nothing, whatever the umask.
    Raises RefusedError when it holds something already, is of another user, or cannot be written.
    """
    try:
        with _made(run) as folder:
            folder.require_own()
            if folder.names():
                raise RefusedError(
                    f"{display_path(run)} is not empty, and a run is never written over; give another --out"
                )
            for name, text in files.items():
                _write(folder, name, text.encode())
            _write(folder, OUTCOME, _outcome("interrupted", "killed before it could say how it went").ljust(_ROOM))
            return pinned(folder)
    except OSError as error:
        raise RefusedError(
            f"cannot write the run directory {display_path(run)}: {error.strerror}; give another --out"
        ) from error


def _made(run: Path) -> Folder:
    """The folder, which is no symbolic link, and its parents with it."""
    for parent in reversed(run.parents):
        if not parent.is_dir():
            parent.mkdir()
            parent.chmod(PUBLIC)
    try:
        with Folder.open(run.parent, follow=True) as parent_folder:
            return parent_folder.make(run.name)
    except FileExistsError:
        return Folder.open(run)


def _write(folder: Folder, name: str, content: bytes) -> None:
    with open(folder.create(name), "wb") as file:  # noqa: PTH123  a descriptor, not a path
        file.write(content)


def conclude(run: Path, how: str, detail: str) -> None:
    """Write down how a run went, as its last word, into the room that was kept for it: the disk may be full."""
    path = run / OUTCOME
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(_outcome(how, detail))
        file.truncate()


def first_difference(one: Path, other: Path) -> str:
    """Where two run directories begin to differ, file and line; "" when all their files are the same.

    Left out: `*.log`, what a console said.
    """
    for name in sorted({path.name for run in (one, other) for path in run.iterdir() if path.is_file()}):
        if name.endswith(".log"):
            continue
        for number, (left, right) in enumerate(zip_longest(_lines(one / name), _lines(other / name)), 1):
            if left != right:
                return f"{name} line {number}: {_short(left)} and {_short(right)}"
    return ""


def _lines(path: Path) -> Iterator[bytes]:
    """Without their ends, one by one: records may be larger than the memory."""
    if path.exists():
        with path.open("rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def _short(line: bytes | None) -> str:
    return "nothing" if line is None else repr(line[:100].decode(errors="replace"))


def _outcome(how: str, detail: str) -> bytes:
    return json.dumps({"how": how, "detail": detail[: _ROOM // 8]}).encode() + b"\n"
