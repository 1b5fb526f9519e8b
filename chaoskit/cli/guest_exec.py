"""Runs a user's command in a lab inside a guest: `-m chaoskit.cli.guest_exec FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from chaoskit import crash_report, processor_order
from chaoskit.cli.main import run_program
from chaoskit.clock import RealClock, begin_alike, begin_at, next_tick
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.conduct.user_command import Command
from chaoskit.conduct.workspace import Workspace
from chaoskit.kernel.page_prefault import lock_memory
from chaoskit.substrate import terminal_relay
from chaoskit.substrate.stdin import chunks

_GUEST_VARIABLES = ("TMPDIR",)  # of the guest: the host's directory is read-only


def main(folder: Path) -> int:
    """Build the lab, run the command. Returns its exit code."""
    lock_memory()
    from chaoskit.conduct.lab_client import Visit, in_guest  # after `lock_memory`: it loads most of what is needed

    job = json.load(sys.stdin)
    setup = LabSetup.unpickled((folder / "lab").read_bytes(), job["environments"])
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_APPEND), descriptor)
    terminal = terminal_relay.in_guest(folder, job["terminal"]) if job["terminal"] else None
    has_pipe = job["has_input"] and terminal is None
    os.dup2(_stdin(folder) if has_pipe else os.open(os.devnull, os.O_RDONLY), 0)
    guest_variables = {name: os.environ[name] for name in _GUEST_VARIABLES if name in os.environ}
    clock = RealClock()
    begin_alike(clock)
    processor_order.ahead()
    caller = Caller(**job["caller"]) if job["caller"] else None
    for place in guest_variables.values():
        Path(place).chmod(0o1777)
    command = Command(tuple(job["argv"]), job["environment"] | guest_variables, caller, terminal)
    writable = tuple(map(Path, job["writable"]))
    workspace = Workspace(Path.cwd(), writable, others=(Path("/tmp"),), store=Path("/run/changes"))

    def begin() -> None:
        (folder / "begun").touch()
        begin_at(clock, next_tick(clock.now()))

    code = in_guest(setup, command, workspace, Visit(job["place"], folder / "run", begin))
    keep = os.open(folder / "changed", os.O_RDONLY | os.O_DIRECTORY) if job["keep"] else None
    (folder / "changes.json").write_text(json.dumps(asdict(workspace.collect(keep))))
    return code


def _stdin(folder: Path) -> int:
    """The read end of a pipe, into which another process writes the chunks of stdin from the folder."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return reader
    try:
        os.close(reader)
        with open(writer, "wb") as pipe:  # noqa: PTH123  a descriptor, not a path
            for chunk in chunks(folder, RealClock()):
                pipe.write(chunk)
                pipe.flush()
    except BrokenPipeError:  # the command closed its stdin
        pass
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        crash_report.print_report(error)
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(run_program(lambda: main(Path(sys.argv[1]))))
