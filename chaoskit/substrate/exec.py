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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from chaoskit import programs
from chaoskit.clock import RealClock
from chaoskit.conduct import kept_files
from chaoskit.conduct.kept_files import FileOptions, OutFolder
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.user_command import Command
from chaoskit.conduct.workspace import Collected
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder
from chaoskit.plan.model import Plan
from chaoskit.substrate import running
from chaoskit.substrate.running import Running
from chaoskit.substrate.selection import SubstrateOptions, choose_for_command
from chaoskit.substrate.stdin import StdinFeeder, store_input
from chaoskit.substrate.uml import Uml
from chaoskit.terminal import Progress, complain
from chaoskit.units import Duration

LAB, OUTPUTS = "lab", ("stdout", "stderr")
BEGUN, CHANGED, CHANGES = "begun", "changed", "changes.json"
"""What the guest writes: the sign that the command begins, copies of changed files, and a list of them."""

_LONGEST_LIST = 64 << 20  # bytes
_POLL = 10_000_000  # ns between two looks at the output
_NO_LIMIT = Duration.parse("8760h")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OF_THE_GUEST = ("dev", "proc", "run", "sys")  # directories that a guest has for itself
_INTERRUPTED = tuple(128 + sign for sign in _SIGNALS)


def in_lab(
    plan: Plan, options: SubstrateOptions, command: Command, files: FileOptions, announce: Callable[[str], None]
) -> int:
    """Run the command as the client of the plan's lab, in this kernel if possible, otherwise in a guest.

    `announce` is told where, before it begins. Returns its exit code. Raises RefusedError if neither can, with what to
    type.
    """
    chosen, where = choose_for_command(plan.needs, options, plan.memory)
    announce(where)
    if isinstance(chosen, Uml):
        return in_guest(chosen, plan, command, files)
    from chaoskit.conduct import exec  # here, not at the top: it loads pyroute2 and the server, for this kernel only

    return kept_files.here(command, files, lambda workspace: exec.in_lab(plan, command, workspace))


def in_guest(substrate: Uml, plan: Plan, command: Command, files: FileOptions) -> int:
    """Boot, build the lab, run the command as its client, and keep its files. Returns its exit code.

    Raises RefusedError.
    """
    if files.writable and command.caller is not None:
        raise RefusedError(
            "--writable in a guest needs no sudo, and does not work with it: run it without sudo, or use --out"
        )
    if (directory := Path.cwd()).parts[1:2] and directory.parts[1] in _OF_THE_GUEST:
        raise RefusedError(
            f"a guest has its own /{directory.parts[1]}, without the working directory {directory}: cd to another"
        )
    with ExitStack() as stack:
        out = stack.enter_context(OutFolder(files.out, command.caller)) if files.out else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaoskit-")))
        code = _run_guest(substrate, plan, command, files, folder)
        found = _collected(folder)
        if out is not None and found.changed:
            with Folder.open(folder / CHANGED) as changed:
                found = replace(found, failed=found.failed + out.fill_from(changed.fd))
        for sentence in kept_files.report(found, files.out):
            complain(sentence)
        return code


def _collected(folder: Path) -> Collected:
    """What the guest says about changed files; nothing if it ended before."""
    try:
        with Folder.open(folder) as opened:
            return kept_files.collected(json.loads(opened.read(CHANGES, _LONGEST_LIST)))
    except FileNotFoundError:
        return Collected()
    except ValueError:
        return kept_files.collected(None)


def _run_guest(substrate: Uml, plan: Plan, command: Command, files: FileOptions, folder: Path) -> int:
    with _Progress() as progress:
        job = {"argv": command.argv, "environment": dict(command.environment), "has_input": _has_input()}
        job["caller"] = asdict(command.caller) if command.caller else None
        job["writable"], job["keep"] = list(map(str, files.writable)), files.out is not None
        job["is_virtual"] = substrate.virtual
        (folder / CHANGED).mkdir()
        setup = LabSetup.of(plan)
        job["environments"] = setup.environments
        (folder / LAB).write_bytes(setup.pickled())
        for output in OUTPUTS:
            (folder / output).touch()
        if job["has_input"] and substrate.virtual:
            progress.show("reading standard input to its end, because a guest in virtual time does not wait for it")
            store_input(folder)
        progress.show("starting a guest")
        words = programs.python_in_guest("chaoskit.cli.guest_exec", str(folder))
        guest_command = running.Command(words, folder, _NO_LIMIT, files.writable)
        guest = substrate.timed(plan.seed).launch(guest_command, RealClock(), json.dumps(job).encode())
        try:
            if not job["has_input"] or substrate.virtual:
                return _relay(guest, folder, progress)
            with StdinFeeder(folder) as feeder:
                return _relay(guest, folder, progress, feeder)
        finally:
            guest.close()


class _Progress:
    """What is going on before the command begins, on a terminal only. A context manager."""

    def __init__(self) -> None:
        self._line = Progress() if sys.stderr.isatty() else None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def show(self, news: str) -> None:
        """The latest news."""
        if self._line is not None:
            self._line.show(f"{news} ...")

    def end(self) -> None:
        """Take it away."""
        if self._line is not None:
            self._line.clear()
            self._line = None


def _relay(guest: Running, folder: Path, progress: _Progress, feeder: StdinFeeder | None = None) -> int:
    clock = RealClock()
    with _forward_signals(guest), (folder / "stdout").open("rb") as out, (folder / "stderr").open("rb") as err:
        while True:
            code = guest.poll()
            if code is not None or (folder / BEGUN).exists():
                progress.end()
            _copy(out, sys.stdout.buffer)
            _copy(err, sys.stderr.buffer)
            if code is not None:
                if code in _INTERRUPTED and not (folder / BEGUN).exists():
                    complain("interrupted")
                if guest.shortage:
                    complain(guest.shortage)
                return code
            if feeder is not None and feeder.failure is not None:
                raise feeder.failure
            clock.sleep_until(clock.now() + _POLL)


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
