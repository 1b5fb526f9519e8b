"""Runs `chaoskit conduct RUNDIR` in a guest, without typer: `-m chaoskit.cli.guest_conduct RUNDIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from chaoskit.cli.main import run_program


def main() -> int:
    """Execute the plan in this kernel. Returns the exit code."""
    from chaoskit.kernel.page_prefault import lock_memory

    lock_memory()

    from chaoskit.clock import RealClock, begin_alike
    from chaoskit.conduct.conductor import (
        conduct,
    )  # after `stay_resident`: this import loads most of what must be resident

    clock = RealClock()
    begin_alike(clock)
    return conduct(Path(sys.argv[1]), clock)


if __name__ == "__main__":
    sys.exit(run_program(main))
