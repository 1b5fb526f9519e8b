"""Runs a command inside a guest kernel and shows what it says: `in_guest.py [--kernel PATH] ARGV...`.

The exit code is the command's. 3 says that no guest could be had; a tier that was asked for never skips.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.substrate import uml
from chaoskit.substrate.running import POLL_INTERVAL, Command
from chaoskit.units import Duration


def main() -> int:
    """Boot, run, show, and give back the exit code."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kernel", type=Path, default=None, help="a User-Mode Linux kernel; default: linux.uml")
    words.add_argument("--limit", type=Duration.parse, default=Duration.parse("10min"))
    words.add_argument("argv", nargs=argparse.REMAINDER)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        try:
            return show(Command(tuple(asked.argv), Path(folder), asked.limit), asked.kernel)
        except RefusedError as error:
            print(error, file=sys.stderr)
            return error.exit_code


def show(command: Command, kernel: Path | None) -> int:
    """Run it in a guest, copying its log to our output while it grows."""
    clock = RealClock()
    running = uml.Uml(uml.find(kernel)).launch(command, clock)
    try:
        with running.log.open(errors="replace") as log:
            while True:
                code = running.poll()
                sys.stdout.write(log.read())
                sys.stdout.flush()
                if code is not None:
                    return code
                clock.sleep_until(clock.now() + POLL_INTERVAL)
    except KeyboardInterrupt:
        return 130
    finally:
        running.close()


if __name__ == "__main__":
    sys.exit(main())
