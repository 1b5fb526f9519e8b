"""Reads which processes the kernel killed because there was no memory left."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

_READ_ALL, _SIZE_BUFFER = 3, 10  # syslog(2)
_KILLED = re.compile(rb"Out of memory: Killed process \d+ \((.{0,15})\) total-vm:")  # mm/oom_kill.c
_COUNTER = "oom_kill "  # mm/vmstat.c
_libc = ctypes.CDLL(None, use_errno=True)


def killed() -> list[str]:
    """Their names, the first victim first; a kernel that has killed one, but tells no name, gives "a process"."""
    counters = Path("/proc/vmstat").read_text().splitlines()
    if not any(line.startswith(_COUNTER) and line != f"{_COUNTER}0" for line in counters):
        return []
    log = ctypes.create_string_buffer(max(_libc.klogctl(_SIZE_BUFFER, None, 0), 1))
    length = max(_libc.klogctl(_READ_ALL, log, len(log)), 0)
    return [name.decode(errors="replace") for name in _KILLED.findall(log.raw[:length])] or ["a process"]
