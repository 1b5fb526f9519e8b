"""Records every change before it is made, so that any process can restore the former values.

| line       | written                                            | meaning                                  |
|------------|----------------------------------------------------|------------------------------------------|
| `intent`   | before a write, and synced to disk before it starts | the knob, its former and its wanted value |
| `done`     | after the write was read back                      | the knob holds the wanted value          |
| `restored` | after the knob was restored                        | no restore is pending for it             |

Rules: the file is append-only. A crash can truncate the last line; nothing was changed on the basis of a truncated
line, so it is ignored when reading and cut off before the next line is written. The file is opened once, and then
read and written through its descriptor, so that nobody can put another file in its place.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from chaoskit.errors import RefusedError
from chaoskit.folder import Folder, display_path, read_all
from chaoskit.knobs import Knob, Setting

FILE = "journal.jsonl"
LIMIT = 64 << 20  # bytes: enough for a day-long run that changes a hundred knobs a minute


@dataclass(frozen=True)
class Intent:
    """The knob held `former` and is about to be set to `wanted`."""

    knob: Knob
    former: Setting
    wanted: Setting
    type: Literal["intent"] = "intent"


@dataclass(frozen=True)
class Done:
    """The last intent for the knob was applied and read back."""

    knob: Knob
    type: Literal["done"] = "done"


@dataclass(frozen=True)
class Restored:
    """The knob holds the value from before the first intent again."""

    knob: Knob
    type: Literal["restored"] = "restored"


Line = Intent | Done | Restored
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="type")])


@dataclass(frozen=True)
class PendingRestore:
    """A knob to restore: its value before the first change, and the value set last.

    `finished`: that value was read back. If not, the write may have happened completely, partly or not at all.
    """

    knob: Knob
    former: Setting
    wanted: Setting
    finished: bool


def pending_restores(raw: bytes) -> list[PendingRestore]:
    """What these lines leave to restore, in the order of restoring: the last knob touched first.

    A knob that was changed several times gets the value from before its first change. Raises RefusedError for a
    complete line that chaoskit did not write: the file was edited.
    """
    return list(reversed(_pending(raw).values()))


class Journal:
    """The open journal of one run; a context manager. It has one writer at a time: the run holds the lock."""

    def __init__(self, fd: int, path: Path) -> None:
        """The journal owns `fd` from now on; `path` is for messages. Raises RefusedError when it cannot be read."""
        self.path, self._fd = path, fd
        try:
            self._pending = _pending(self.content())
        except RefusedError:
            os.close(fd)
            raise

    @classmethod
    def open(cls, folder: Folder) -> Journal:
        """The journal in this folder, created when there is none. Raises RefusedError when it cannot be opened.

        On a read-only disk it is opened for reading: it accepts no intent, and its pending restores can be done.
        """
        path = folder.path / FILE
        try:
            return cls(_descriptor(folder), path)
        except OSError as error:
            raise _refusal(path, error) from error

    @classmethod
    def at(cls, folder: Path) -> Journal:
        """The same for a folder given by its path. Raises RefusedError."""
        try:
            with Folder.open(folder, follow=True) as opened:
                return cls.open(opened)
        except OSError as error:
            raise _refusal(folder / FILE, error) from error

    def copy(self) -> int:
        """A descriptor of the same file, for a child to inherit."""
        return os.dup(self._fd)

    def content(self) -> bytes:
        """The whole file. Raises RefusedError when it cannot be read."""
        try:
            return read_all(self._fd, LIMIT, self.path)
        except OSError as error:
            raise RefusedError(f"cannot read {self.path}: {error.strerror}; see dmesg") from error

    def pending(self) -> list[PendingRestore]:
        """What has to be restored, in the order of restoring."""
        return list(reversed(self._pending.values()))

    def pending_for(self, knob: Knob) -> PendingRestore | None:
        """The pending restore of one knob."""
        return self._pending.get(knob)

    def intend(self, knob: Knob, former: Setting, wanted: Setting) -> None:
        """Record that the knob is about to change. Returns after fsync."""
        self._append(Intent(knob, former, wanted))

    def done(self, knob: Knob) -> None:
        """Record that the change was read back. A crash may lose this line: see `PendingRestore.finished`."""
        self._append(Done(knob))

    def restored(self, knob: Knob) -> None:
        """Record that the knob was restored."""
        self._append(Restored(knob))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def _append(self, line: Line) -> None:
        text = _LINE.dump_json(line, ensure_ascii=True) + b"\n"
        try:
            self._truncate_partial_line()
            while text:
                text = text[os.write(self._fd, text) :]
            if isinstance(line, Intent):
                os.fsync(self._fd)
        except OSError as error:
            raise _refusal(self.path, error) from error
        _replay(self._pending, line)

    def _truncate_partial_line(self) -> None:
        """A full disk or an interrupt may have left a partial line at the end."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.ftruncate(self._fd, self.content().rfind(b"\n") + 1)


def _descriptor(folder: Folder) -> int:
    """A descriptor of the file, which is created where there is none; read-only where it cannot be written."""
    try:
        return folder.create(FILE)
    except FileExistsError:
        pass
    try:
        return folder.open_file(FILE, os.O_RDWR | os.O_APPEND)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT):
            raise
        return folder.open_file(FILE)


def _refusal(path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"cannot write {display_path(path)}: {error.strerror}; chaoskit changes nothing that it cannot record "
        f"first: make room there, or choose another folder"
    )


def _lines(raw: bytes) -> Iterator[Line]:
    """The complete lines; what follows the last newline is ignored."""
    for number, text in enumerate(raw.split(b"\n")[:-1], 1):
        try:
            yield _LINE.validate_json(text)
        except ValidationError as error:
            raise RefusedError(
                f"{FILE} line {number} was not written by chaoskit: {text[:80]!r}; correct the line, or delete it"
            ) from error


def _pending(raw: bytes) -> dict[Knob, PendingRestore]:
    pending: dict[Knob, PendingRestore] = {}
    for line in _lines(raw):
        _replay(pending, line)
    return pending


def _replay(pending: dict[Knob, PendingRestore], line: Line) -> None:
    """Bring `pending` up to date by one line. Its order is that of the first intents."""
    match line:
        case Intent(knob, former, wanted):
            first = pending[knob].former if knob in pending else former
            pending[knob] = PendingRestore(knob, first, wanted, finished=False)
        case Done(knob) if knob in pending:
            entry = replace(pending[knob], finished=True)
            if entry.wanted == entry.former:
                del pending[knob]
            else:
                pending[knob] = entry
        case Restored(knob):
            pending.pop(knob, None)
