"""`python -m chaoskit.cli.guest_exec FOLDER`: a visit to a lab, in a guest; see `substrate.visiting`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from chaoskit import crash_report
from chaoskit.cli.main import run_program
from chaoskit.clock import RealClock
from chaoskit.conduct.exec import in_lab
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.conduct.user_command import Command
from chaoskit.plan.model import Plan
from chaoskit.substrate.stdin import pieces

_OWN = ("TMPDIR",)  # the guest's own: the host's cannot be written


def main(folder: Path) -> int:
    """Build the lab, run the command. Returns its exit code."""
    visit = json.load(sys.stdin)
    plan = Plan.model_validate_json((folder / "plan.json").read_bytes())
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_APPEND), descriptor)
    os.dup2(_input(folder) if visit["has_input"] else os.open(os.devnull, os.O_RDONLY), 0)
    own = {name: os.environ[name] for name in _OWN if name in os.environ}
    caller = Caller(**visit["caller"]) if visit["caller"] else None
    for place in own.values():
        Path(place).chmod(0o1777)
    return in_lab(plan, Command(tuple(visit["argv"]), visit["environment"] | own, caller))


def _input(folder: Path) -> int:
    """The end of a pipe that gives what is fed to the folder, piece by piece, from a process of its own."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return reader
    try:
        os.close(reader)
        with open(writer, "wb") as pipe:  # noqa: PTH123  a descriptor, not a path
            for piece in pieces(folder, RealClock()):
                pipe.write(piece)
                pipe.flush()
    except BrokenPipeError:  # the command reads no more
        pass
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        crash_report.tell(error)
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(run_program(lambda: main(Path(sys.argv[1]))))
