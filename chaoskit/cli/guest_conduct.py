"""`python -m chaoskit.cli.guest_conduct RUNDIR`: `chaoskit conduct RUNDIR` for guests, without typer."""

from __future__ import annotations

import sys
from pathlib import Path

from chaoskit.cli.main import ended


def main() -> int:
    """Do what the plan says, in this kernel. Returns the exit code."""
    from chaoskit.kernel.page_prefault import lock_memory

    lock_memory()

    from chaoskit.clock import RealClock
    from chaoskit.conduct.conductor import conduct  # after that: most of what is to be resident comes with it

    return conduct(Path(sys.argv[1]), RealClock())


if __name__ == "__main__":
    sys.exit(ended(main))
