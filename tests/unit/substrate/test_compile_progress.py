"""The build of a kernel says how far it is, and how long the rest takes."""

from __future__ import annotations

from chaoskit.clock import ManualClock
from chaoskit.substrate.kernel_build import FILE_COUNT, CompileProgress


def test_the_rest_takes_as_long_for_each_file_as_those_before() -> None:
    """Other lines of make count for nothing; more files than usual have no rest."""
    said: list[str] = []
    clock = ManualClock()
    progress = CompileProgress(said.append, clock)

    for number in range(1, FILE_COUNT + 41):
        clock.sleep_until(number * 10**9)
        progress("  CC      kernel/fork.o\n")
        progress("  AR      kernel/built-in.a\n")

    assert said[0] == f"compiled 40 of about {FILE_COUNT} files, about {(FILE_COUNT - 40) // 60} min 20 s to go"
    assert said[-1] == f"compiled {FILE_COUNT + 40} of about {FILE_COUNT} files"
