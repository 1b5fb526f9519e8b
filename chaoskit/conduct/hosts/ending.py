"""Says in words how a program ended, by its exit code, and what the cause may be."""

from __future__ import annotations

import signal
from pathlib import Path

_OF_A_SHELL = 128  # sh(1): the exit code of a command that a signal killed is 128 and its number
_MORE_PIECES = "sysctl vm.max_map_count=262144"


def how_it_ended(code: int) -> str:
    """`ended with exit code 3`, `was killed by SIGSEGV`; a negative code is a signal, and one above 128 a shell's."""
    if code < 0:
        return f"was killed by {_signal(-code) or f'signal {-code}'}"
    name = _signal(code - _OF_A_SHELL)
    return f"ended with exit code {code}" + (f", which a shell says of {name}" if name else "")


def likely_cause(code: int, is_in_guest: bool) -> str:
    """What may be the reason for this code; "" where nothing is known of it.

    The memory of all programs of a guest is that of one process of its host, each piece a mapping of it.
    """
    if not is_in_guest or signal.SIGSEGV not in (-code, code - _OF_A_SHELL):
        return ""
    return f"; if it works outside of a guest, it has too many pieces of memory: on this machine, sudo {_MORE_PIECES}"


def runs_in_guest() -> bool:
    """Whether this kernel is a User-Mode Linux."""
    return "User Mode Linux" in Path("/proc/cpuinfo").read_text()


def _signal(number: int) -> str:
    """Its name; "" for a number without one."""
    return next((each.name for each in signal.Signals if each == number), "")
