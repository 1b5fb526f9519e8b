"""Lends the user's terminal to a command in a guest: raw bytes both ways, and the size of its window.

The guest has a pseudo-terminal (pty(7)), whose other end is connected with the terminal here by way of files: its input
as the chunks of `stdin`, its output as the file `stdout`. A new size of the window is a file of its own, `window.N`.
Rules: the terminal gets back the settings that it had, however the command ends.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.kernel import mounts
from chaoskit.substrate.stdin import chunks

WindowSize = tuple[int, int, int, int]
"""struct winsize of ioctl_tty(2): rows, columns, and their sizes in pixels."""

_LAYOUT = "HHHH"
_CHUNK = 1 << 16
_TIOCSPTLCK, _TIOCGPTN = 0x4004_5431, 0x8004_5430  # asm-generic/ioctls.h
_TERMINALS = Path("/dev/pts")


@contextmanager
def lent(folder: Path) -> Iterator[None]:
    """The terminal of standard input is raw in the body, and new sizes of its window go to the folder."""
    former = termios.tcgetattr(0)
    number = 0

    def tell(_sign: int, _frame: FrameType | None) -> None:
        nonlocal number
        part = folder / "window"
        with suppress(OSError):
            part.write_bytes(struct.pack(_LAYOUT, *window_size()))
            part.rename(_size_path(folder, number))
            number += 1

    handler = signal.signal(signal.SIGWINCH, tell)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, former)
        signal.signal(signal.SIGWINCH, handler)


def window_size() -> WindowSize:
    """Of the terminal of standard input."""
    found: WindowSize = struct.unpack(_LAYOUT, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(struct.calcsize(_LAYOUT))))
    return found


def in_guest(folder: Path, size: WindowSize) -> int:
    """In the guest: a new terminal that is connected by the folder. Returns the descriptor of the command's end.

    Two processes copy its bytes; they end with it. Raises RefusedError.
    """
    try:
        master, terminal = new_terminal()
    except OSError as error:
        why = f"the guest has no pseudo-terminals ({error.strerror})"
        raise RefusedError(f"{why}: chaoskit exec FILE -- COMMAND runs one command") from error
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack(_LAYOUT, *size))
    for copy in (_copy_input, _copy_output):
        if os.fork() == 0:
            os.close(terminal)
            try:
                copy(folder, master)
            finally:
                os._exit(0)
    os.close(master)
    return terminal


def new_terminal() -> tuple[int, int]:
    """Both ends of one, from a file system of the guest's own: its /dev may be the host's (ioctl_tty(2))."""
    _TERMINALS.mkdir(exist_ok=True)
    mounts.mount_terminals(_TERMINALS)
    master = os.open(_TERMINALS / "ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("I", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))
    return master, os.open(_TERMINALS / str(number), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def _copy_input(folder: Path, master: int) -> None:
    number = 0

    def look() -> None:
        nonlocal number
        size = _size_path(folder, number)
        if size.exists():
            number += 1
            with suppress(OSError):
                fcntl.ioctl(master, termios.TIOCSWINSZ, size.read_bytes())

    with suppress(OSError):  # the command has ended
        for chunk in chunks(folder, RealClock(), look):
            while chunk:
                chunk = chunk[os.write(master, chunk) :]


def _copy_output(folder: Path, master: int) -> None:
    """Until no process has the terminal open, or only such as ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    output = os.open(folder / "stdout", os.O_WRONLY | os.O_APPEND)
    with suppress(OSError):  # EIO, at the end
        while data := os.read(master, _CHUNK):
            while data:
                data = data[os.write(output, data) :]


def _size_path(folder: Path, number: int) -> Path:
    return folder / f"window.{number}"
