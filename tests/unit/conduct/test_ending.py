"""How a program ended, in words."""

from __future__ import annotations

import signal

import pytest

from chaoskit.conduct.hosts.ending import how_it_ended, likely_cause


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (128, "ended with exit code 128"),
        (-11, "was killed by SIGSEGV"),
        (-32, "was killed by signal 32"),  # of the C library, which has no name
        (139, "ended with exit code 139, which a shell says of SIGSEGV"),
        (255, "ended with exit code 255"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, told: str) -> None:
    """Signals by their name, also those that a shell passes on."""
    assert how_it_ended(code) == told


def test_a_fault_of_memory_in_a_guest_has_a_likely_cause() -> None:
    """With what to type; on this kernel, and of another signal, nothing is guessed."""
    codes = (-signal.SIGSEGV, 128 + signal.SIGSEGV)

    assert all("sudo sysctl vm.max_map_count=262144" in likely_cause(code, is_in_guest=True) for code in codes)
    assert [likely_cause(code, is_in_guest=False) for code in codes] == ["", ""]
    assert [likely_cause(code, is_in_guest=True) for code in (0, -9, 1)] == ["", "", ""]
