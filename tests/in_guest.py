"""Runs a command inside a guest kernel and shows its output: `in_guest.py [--kernel PATH] [--virtual] ARGV...`.

The exit code is the command's; 3 if no guest can be started. A requested tier never skips.
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
from chaoskit.units import Duration, Size

MEMORY = Size.parse("1GiB")  # pytest holds half of a usual guest's
SEED = 1  # of all randomness in virtual time


def main() -> int:
    """Boot, run, show the output, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", type=Path, default=None, help="a User-Mode Linux kernel; default: linux.uml")
    parser.add_argument("--limit", type=Duration.parse, default=Duration.parse("10min"))
    parser.add_argument("--virtual", action="store_true", help="in virtual time, on chaoskit's own kernel")
    parser.add_argument("argv", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        try:
            command = Command(tuple(options.argv), Path(folder), options.limit)
            return show(command, uml.Uml(uml.find(options.kernel), MEMORY, options.virtual).timed(SEED))
        except RefusedError as error:
            print(error, file=sys.stderr)
            return error.exit_code


def show(command: Command, guest: uml.Uml) -> int:
    """Run it in a guest, and copy its log to stdout while it grows."""
    clock = RealClock()
    running = guest.launch(command, clock)
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
