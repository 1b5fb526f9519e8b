"""A command in the lab of a guest: what it reads and writes goes through files, its exit code comes back.

Rules: its standard output and error arrive here as it writes them, apart, every byte; what is piped or redirected to
us it reads, a terminal's input it does not, for a guest has no terminal. The guest's files are the host's, to be read;
the command's words and its environment, where keys are, lie in no file on the way.
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
from chaoskit.substrate.running import GLANCE, Running
from chaoskit.substrate.selection import SubstrateOptions, choose
from chaoskit.substrate.stdin import StdinFeeder
from chaoskit.substrate.uml import Uml
from chaoskit.terminal import ascii_json
from chaoskit.units import Duration

PLAN, OUTPUTS = "plan.json", ("stdout", "stderr")
_AS_LONG_AS_IT_TAKES = Duration.parse("8760h")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def in_lab(plan: Plan, wish: SubstrateOptions, command: Command) -> int:
    """Run the command as the client of a visit's lab, in this kernel when it can do that, or in a guest.

    Returns its exit code. Raises RefusedError where neither can, with what to type.
    """
    chosen, _ = choose(plan.needs, wish)
    return in_guest(chosen, plan, command) if isinstance(chosen, Uml) else exec.in_lab(plan, command)


def in_guest(substrate: Uml, plan: Plan, command: Command) -> int:
    """Boot, build the lab, run the command as its client. Returns its exit code. Raises RefusedError."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as name:
        folder = Path(name)
        visit = {"argv": command.argv, "environment": dict(command.environment), "has_input": _has_input()}
        visit["caller"] = asdict(command.caller) if command.caller else None
        (folder / PLAN).write_text(ascii_json(plan.model_dump_json()))
        for output in OUTPUTS:
            (folder / output).touch()
        words = programs.python_in_guest("chaoskit.cli.guest_exec", name)
        errand = running.Command(words, folder, _AS_LONG_AS_IT_TAKES)
        guest = substrate.launch(errand, RealClock(), json.dumps(visit).encode())
        try:
            if not visit["has_input"]:
                return _attend(guest, folder)
            with StdinFeeder(folder) as feeder:
                return _attend(guest, folder, feeder)
        finally:
            guest.close()


def _attend(guest: Running, folder: Path, feeder: StdinFeeder | None = None) -> int:
    clock = RealClock()
    with _passed_on(guest), (folder / "stdout").open("rb") as out, (folder / "stderr").open("rb") as err:
        while True:
            code = guest.poll()
            _copy(out, sys.stdout.buffer)
            _copy(err, sys.stderr.buffer)
            if code is not None:
                return code
            if feeder is not None and feeder.trouble is not None:
                raise feeder.trouble
            clock.sleep_until(clock.now() + GLANCE)


def _copy(source: BinaryIO, sink: BinaryIO) -> None:
    shutil.copyfileobj(source, sink)
    sink.flush()


@contextmanager
def _passed_on(guest: Running) -> Iterator[None]:
    def ask(sign: int, _frame: FrameType | None) -> None:
        guest.interrupt(signal.Signals(sign))

    former = {sign: signal.signal(sign, ask) for sign in _SIGNALS}
    try:
        yield
    finally:
        for sign, handler in former.items():
            signal.signal(sign, handler)


def _has_input() -> bool:
    """Whether somebody gave us something to read: a pipe, a file, a socket; no terminal and no /dev/null."""
    try:
        return not stat.S_ISCHR(os.fstat(0).st_mode)
    except OSError:  # it is closed
        return False
