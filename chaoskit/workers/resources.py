"""Decides how many cells this machine can run at a time, and whether its disk has room for the rest.

A guest takes its memory as it uses it, so that more could begin than can end. A run directory's size is known when the
first cell has ended: the others, of the same file, are about as large.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.kernel.client_limits import client_limits
from chaoskit.planning.model import Plan
from chaoskit.substrate import guest_memory
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.units import Size, counted

_RESERVE = 256 << 20  # bytes of memory that stay free for chaoskit itself
_MARGIN = 1.2  # of the size of the largest cell so far, for each of the rest


def jobs(asked: int | None, processors: int, guest: Size | None, available: int) -> int:
    """How many cells run at a time: as many as asked, or as there are processors and memory.

    `guest` is the memory of a guest, None where there is none; `available` is that of the machine, bytes. Raises
    RefusedError where it does not suffice for those that were asked for, or for one.
    """
    if guest is None:
        return asked or processors
    fit = max(0, available - _RESERVE) // guest
    if fit < (asked or 1):
        each = f"{counted(asked or 1, 'guest')} of {_mb(guest)}"
        remedy = f"--jobs {fit}" if fit else "free some"
        raise RefusedError(f"{each} and {_mb(_RESERVE)} are more than the {_mb(available)} of free memory: {remedy}")
    return asked or min(processors, fit)


def largest_guest(plans: Sequence[Plan], where: SubstrateOptions) -> Size:
    """The memory of a guest that runs any of these plans."""
    return where.memory or max((plan.memory or guest_memory.DEFAULT for plan in plans), default=guest_memory.DEFAULT)


def memory() -> int:
    """Bytes of memory that programs can still take."""
    return client_limits("localhost").memory


def free_disk(folder: Path) -> int:
    """Bytes that can still be written there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def shortage(largest: int, left: int, free: int, folder: Path, keeps_runs: bool) -> str:
    """Why the rest of a sweep does not fit on the disk; "" where it does. `largest`: bytes of a cell so far."""
    needed = round(largest * left * _MARGIN)
    if needed <= free:
        return ""
    smaller = ", or --keep results" if keeps_runs else ""
    return (
        f"{counted(left, 'more cell')} of {_mb(largest)} each need {_mb(needed)}, and {folder} has {_mb(free)}: free "
        f"some space{smaller}, and repeat the command with --resume"
    )


def size_of(directory: Path) -> int:
    """Bytes that the files of a run directory take on the disk."""
    found = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                found += os.lstat(f"{place}/{name}").st_blocks * 512
            except OSError:
                continue
    return found


def _mb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{max(1, round(size / 1e6))} MB"
