"""Decides how much memory a guest has and where it is kept, and says when it was too little."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.terminal import printable
from chaoskit.units import Size

DEFAULT = Size.parse("512MiB")
OPTION = "--guest-memory"
_SMALLEST = Size.parse("256MiB")  # an experiment with few streams takes 120 MiB
_PANIC = "deadlocked on memory"  # mm/oom_kill.c
_MOST_NAMES, _LONGEST_LIST = 3, 4096
_ADDR_NO_RANDOMIZE, _UNCHANGED = 0x0040000, 0xFFFFFFFF  # personality(2)
_libc = ctypes.CDLL(None)


def parse(text: str | None) -> Size | None:
    """The size in the option's text; None: not given. SpecError: no such size; RefusedError: more than there is."""
    if text is None:
        return None
    try:
        size = Size.parse(text)
    except ValueError as error:
        raise SpecError(f"{OPTION}: {error}; for example {OPTION} 2GB") from error
    if size < _SMALLEST:
        raise SpecError(f"{OPTION} {text}: a guest needs {_in_mib(_SMALLEST)}, and has {_in_mib(DEFAULT)} without it")
    if size > (there := os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")):
        raise RefusedError(f"{OPTION} {text} is more than the {there / 1e9:.1f} GB of this machine: give it less")
    return size


def place_without_chance() -> None:
    """Begin the memory of what this process executes next at the same address each time; a container may forbid it.

    The kernel's tables also cover what lies between its program and its memory: up to 1 GB, by chance. What is left,
    and so its limits of TCP's memory, would differ from run to run.
    """
    _libc.personality(_libc.personality(_UNCHANGED) | _ADDR_NO_RANDOMIZE)


def folder(size: int, candidates: tuple[str, ...]) -> str:
    """The first folder that can hold a guest's memory: `size` bytes free, writable, and not mounted noexec.

    Raises RefusedError when there is none.
    """
    for place in candidates:
        try:
            disk = os.statvfs(place)
        except OSError:
            continue
        roomy = disk.f_bavail * disk.f_frsize >= size
        if roomy and not disk.f_flag & os.ST_NOEXEC and os.access(place, os.W_OK):
            return place
    raise RefusedError(
        f"no place for a guest's memory: none of {', '.join(candidates)} is writable, executable and has "
        f"{_in_mib(size)} free; TMPDIR=/a/roomy/folder chaoskit ..."
    )


def shortage(killed: Path, size: int, log: str = "") -> str:
    """A sentence if a guest of this size ran out of memory, else "".

    `killed` is the file with the names of the processes that its kernel killed then; `log` is the end of its log.
    """
    names: list[str] = []
    with suppress(OSError):
        names = killed.read_bytes()[:_LONGEST_LIST].decode(errors="replace").splitlines()
    if not names and _PANIC not in log:
        return ""
    victims = ", ".join(map(printable, dict.fromkeys(names[:_MOST_NAMES])))
    what = f", and its kernel killed {victims}" if victims else ""
    return f"the guest ran out of its {_in_mib(size)} of memory{what}: {OPTION} {max(2, 4 * size // 10**9)}GB"


def _in_mib(size: int) -> str:
    return f"{size // 2**20} MiB"
