"""What we are about to change, written down before we change it.

| line       | written                                          | says                                      |
|------------|--------------------------------------------------|-------------------------------------------|
| `intent`   | before a write, and on the disk before it starts | the knob, what it held, what it shall hold |
| `done`     | after the write was read back                    | the knob holds it                         |
| `restored` | after the knob was put back                      | nothing is owed for it any more           |

Rules: the file only grows, line by line. A crash can tear the last line; a torn line was never acted upon,
so it is dropped when reading, and cut off before the next line is written, never glued to. It is opened once, and
then read and written through its descriptor, so that nobody can put another file in its place.
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
LIMIT = 64 << 20  # bytes: a run of a day that changes a hundred knobs a minute


@dataclass(frozen=True)
class Intent:
    """The knob held `former` and is about to be set to `wanted`."""

    knob: Knob
    former: Setting
    wanted: Setting
    type: Literal["intent"] = "intent"


@dataclass(frozen=True)
class Done:
    """The last intent for the knob was carried out and read back."""

    knob: Knob
    type: Literal["done"] = "done"


@dataclass(frozen=True)
class Restored:
    """The knob holds again what it held before our first intent."""

    knob: Knob
    type: Literal["restored"] = "restored"


Line = Intent | Done | Restored
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="type")])


@dataclass(frozen=True)
class Debt:
    """A knob to put back: what it held before us, and what we set last.

    `finished`: that was read back. If not, the write may have happened, not, or by half.
    """

    knob: Knob
    former: Setting
    wanted: Setting
    finished: bool


def debts(raw: bytes) -> list[Debt]:
    """What is still owed after these lines, in the order of putting back: the last knob touched first.

    A knob that was changed several times is owed its first former value. Raises RefusedError for a whole
    line that is none of ours: the file was edited.
    """
    return list(reversed(_owed(raw).values()))


class Journal:
    """The open journal of one run, a context manager. Not for two writers at a time: the run's lock sees to that."""

    def __init__(self, fd: int, path: Path) -> None:
        """`fd` becomes the journal's own; `path` is for messages. Raises RefusedError when it cannot be read."""
        self.path, self._fd = path, fd
        try:
            self._owed = _owed(self.content())
        except RefusedError:
            os.close(fd)
            raise

    @classmethod
    def open(cls, folder: Folder) -> Journal:
        """The journal in this folder, begun when there is none. Raises RefusedError when it cannot be opened.

        One that can only be read, on a disk gone read-only, takes no intent, and pays what is owed all the same.
        """
        path = folder.path / FILE
        try:
            return cls(_descriptor(folder), path)
        except OSError as error:
            raise _refusal(path, error) from error

    @classmethod
    def at(cls, folder: Path) -> Journal:
        """The same of a folder by its path. Raises RefusedError."""
        try:
            with Folder.open(folder, follow=True) as opened:
                return cls.open(opened)
        except OSError as error:
            raise _refusal(folder / FILE, error) from error

    def copy(self) -> int:
        """A descriptor of the same file, for a child to inherit."""
        return os.dup(self._fd)

    def content(self) -> bytes:
        """All that it holds. Raises RefusedError when the disk does not give it."""
        try:
            return read_all(self._fd, LIMIT, self.path)
        except OSError as error:
            raise RefusedError(f"cannot read {self.path}: {error.strerror}; see dmesg") from error

    def owed(self) -> list[Debt]:
        """What is still owed, in the order of putting back."""
        return list(reversed(self._owed.values()))

    def owed_for(self, knob: Knob) -> Debt | None:
        """What is owed for one knob."""
        return self._owed.get(knob)

    def intend(self, knob: Knob, former: Setting, wanted: Setting) -> None:
        """Write down that the knob is about to change. Returns when the disk has it."""
        self._append(Intent(knob, former, wanted))

    def done(self, knob: Knob) -> None:
        """Write down that the change was read back. A crash may lose this line: see `Debt.finished`."""
        self._append(Done(knob))

    def restored(self, knob: Knob) -> None:
        """Write down that nothing is owed for the knob."""
        self._append(Restored(knob))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def _append(self, line: Line) -> None:
        text = _LINE.dump_json(line, ensure_ascii=True) + b"\n"
        try:
            self._cut_torn_line()
            while text:
                text = text[os.write(self._fd, text) :]
            if isinstance(line, Intent):
                os.fsync(self._fd)
        except OSError as error:
            raise _refusal(self.path, error) from error
        _account(self._owed, line)

    def _cut_torn_line(self) -> None:
        """A full disk or an interrupt may have left one behind."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.ftruncate(self._fd, self.content().rfind(b"\n") + 1)


def _descriptor(folder: Folder) -> int:
    """Of the file, made where there is none; for reading alone where it cannot be written."""
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
        f"cannot write {display_path(path)}: {error.strerror}; nothing is changed that is not written down first, "
        f"so make room there, or choose another folder"
    )


def _lines(raw: bytes) -> Iterator[Line]:
    """The whole lines; what follows the last newline is torn."""
    for number, text in enumerate(raw.split(b"\n")[:-1], 1):
        try:
            yield _LINE.validate_json(text)
        except ValidationError as error:
            raise RefusedError(
                f"{FILE} line {number} was not written by chaoskit: {text[:80]!r}; put the line right, or delete it"
            ) from error


def _owed(raw: bytes) -> dict[Knob, Debt]:
    owed: dict[Knob, Debt] = {}
    for line in _lines(raw):
        _account(owed, line)
    return owed


def _account(owed: dict[Knob, Debt], line: Line) -> None:
    """Bring `owed` up to date by one line. Its order is that of the first intents."""
    match line:
        case Intent(knob, former, wanted):
            first = owed[knob].former if knob in owed else former
            owed[knob] = Debt(knob, first, wanted, finished=False)
        case Done(knob) if knob in owed:
            debt = replace(owed[knob], finished=True)
            if debt.wanted == debt.former:
                del owed[knob]
            else:
                owed[knob] = debt
        case Restored(knob):
            owed.pop(knob, None)
