"""Keeps a lab standing inside a guest: `-m chaoskit.cli.guest_up FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from chaoskit.cli.main import run_program
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.up import in_guest
from chaoskit.planning.publish import Published
from chaoskit.substrate.lab_in_guest import COMPLAINTS, LAB, STANDS, open_console


def main(folder: Path) -> int:
    """Build the lab, and connect callers until the guest is killed."""
    os.dup2(os.open(folder / COMPLAINTS, os.O_WRONLY | os.O_APPEND), 2)
    job = json.load(sys.stdin)
    setup = LabSetup.unpickled((folder / LAB).read_bytes(), job["environments"])
    ports = tuple(Published(**port | {"addresses": tuple(port["addresses"])}) for port in job["ports"])
    return in_guest(setup, ports, folder, open_console(), (folder / STANDS).touch)


if __name__ == "__main__":
    sys.exit(run_program(lambda: main(Path(sys.argv[1]))))
