"""Runs `chaoskit conduct RUNDIR` in a guest, without typer: `-m chaoskit.cli.guest_conduct RUNDIR`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from chaoskit import processor_order
from chaoskit.cli.main import run_program

_UNUSED = "httpx._main"
"""httpx's own command line, which imports click, rich and pygments; httpx does without them where it is not there."""


def main() -> int:
    """Execute the plan in this kernel. Returns the exit code."""
    from chaoskit.kernel.page_prefault import lock_memory

    lock_memory()
    sys.modules[_UNUSED] = None  # type: ignore[assignment]  # how Python is told that a module cannot be imported
    gc.disable()  # modules are not garbage, and looking through them takes a fifth of their import

    from chaoskit.clock import RealClock, begin_alike
    from chaoskit.conduct.conductor import conduct  # after `lock_memory`: it loads most of what must be resident

    gc.freeze()
    gc.enable()
    clock = RealClock()
    begin_alike(clock)
    processor_order.ahead()
    return conduct(Path(sys.argv[1]), clock)


if __name__ == "__main__":
    sys.exit(run_program(main))
