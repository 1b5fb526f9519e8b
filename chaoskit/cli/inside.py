"""`python -m chaoskit.cli.inside RUNDIR`: `chaoskit conduct RUNDIR` for guests, without typer and page faults."""

from __future__ import annotations

import sys
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.errors import ChaoskitError
from chaoskit.kernel.memory import stay_resident


def main(run: Path) -> int:
    """Do what the plan says, in this kernel. Returns the exit code."""
    stay_resident()

    from chaoskit.conduct.run import conduct  # not at the top: most of what is to be resident comes with it

    try:
        return conduct(run, RealClock())
    except ChaoskitError as error:
        print(f"chaoskit: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
