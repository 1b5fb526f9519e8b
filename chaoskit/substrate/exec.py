"""Runs a command in the lab of a guest: forwards stdin, stdout, stderr, signals and the exit code.

Rules: stdout and stderr arrive separately, as they are written, every byte. Piped or redirected stdin is forwarded; a
terminal's is not, because a guest has no terminal. The guest reads the host's files. The command line and the
environment, which may hold keys, are never written to a file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from chaoskit import programs
from chaoskit.clock import RealClock
from chaoskit.conduct import exec
from chaoskit.conduct.user_command import Command
from chaoskit.plan.model import Plan
from chaoskit.substrate import running
from chaoskit.substrate.running import POLL_INTERVAL, Running
from chaoskit.substrate.selection import SubstrateOptions, choose
from chaoskit.substrate.stdin import StdinFeeder
from chaoskit.substrate.uml import Uml
from chaoskit.terminal import ascii_json
from chaoskit.units import Duration

PLAN, OUTPUTS = "plan.json", ("stdout", "stderr")
_NO_LIMIT = Duration.parse("8760h")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def in_lab(plan: Plan, options: SubstrateOptions, command: Command) -> int:
    """Run the command as the client of the plan's lab, in this kernel if possible, otherwise in a guest.

    Returns its exit code. Raises RefusedError if neither can, with what to type.
    """
    chosen, _ = choose(plan.needs, options)
    return in_guest(chosen, plan, command) if isinstance(chosen, Uml) else exec.in_lab(plan, command)


def in_guest(substrate: Uml, plan: Plan, command: Command) -> int:
    """Boot, build the lab, run the command as its client. Returns its exit code. Raises RefusedError."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as name:
        folder = Path(name)
        job = {"argv": command.argv, "environment": dict(command.environment), "has_input": _has_input()}
        job["caller"] = asdict(command.caller) if command.caller else None
        (folder / PLAN).write_text(ascii_json(plan.model_dump_json()))
        for output in OUTPUTS:
            (folder / output).touch()
        words = programs.python_in_guest("chaoskit.cli.guest_exec", name)
        guest_command = running.Command(words, folder, _NO_LIMIT)
        guest = substrate.launch(guest_command, RealClock(), json.dumps(job).encode())
        try:
            if not job["has_input"]:
                return _relay(guest, folder)
            with StdinFeeder(folder) as feeder:
                return _relay(guest, folder, feeder)
        finally:
            guest.close()


def _relay(guest: Running, folder: Path, feeder: StdinFeeder | None = None) -> int:
    clock = RealClock()
    with _forward_signals(guest), (folder / "stdout").open("rb") as out, (folder / "stderr").open("rb") as err:
        while True:
            code = guest.poll()
            _copy(out, sys.stdout.buffer)
            _copy(err, sys.stderr.buffer)
            if code is not None:
                return code
            if feeder is not None and feeder.failure is not None:
                raise feeder.failure
            clock.sleep_until(clock.now() + POLL_INTERVAL)


def _copy(source: BinaryIO, sink: BinaryIO) -> None:
    shutil.copyfileobj(source, sink)
    sink.flush()


@contextmanager
def _forward_signals(guest: Running) -> Iterator[None]:
    def ask(sign: int, _frame: FrameType | None) -> None:
        guest.interrupt(signal.Signals(sign))

    former = {sign: signal.signal(sign, ask) for sign in _SIGNALS}
    try:
        yield
    finally:
        for sign, handler in former.items():
            signal.signal(sign, handler)


def _has_input() -> bool:
    """Whether stdin is a pipe, a file or a socket, and not a terminal or /dev/null."""
    try:
        return not stat.S_ISCHR(os.fstat(0).st_mode)
    except OSError:  # it is closed
        return False
