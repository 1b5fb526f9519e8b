"""Decides whether the disk has room for the rest of a sweep.

A run directory's size is known when the first cell has ended: the others, of the same file, are about as large.
"""

from __future__ import annotations

import os
from pathlib import Path

from chaoskit.units import counted
from chaoskit.workers.resources import megabytes

_MARGIN = 1.2  # of the size of the largest cell so far, for each of the rest


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
    each, all_ = megabytes(largest), megabytes(needed)
    return (
        f"{counted(left, 'more cell')} of {each} each need {all_}, and {folder} has {megabytes(free)}: free "
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
