"""Runs a command in the lab of a guest: forwards stdin, stdout, stderr, signals and the exit code.

Rules: stdout and stderr arrive separately, as they are written, every byte. Piped or redirected stdin is forwarded; a
terminal's is not, unless the command gets a terminal of its own (`terminal_relay`). The guest reads the host's files.
The command line and the environment, which may hold keys, are never written to a file.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
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
from chaoskit.planning.model import Plan
from chaoskit.substrate import running, terminal_relay
from chaoskit.substrate.selection import SubstrateOptions, choose_for_command
from chaoskit.substrate.signal_relay import INTERRUPTED, SignalRelay
from chaoskit.substrate.stdin import StdinFeeder, store_input
from chaoskit.substrate.uml import Guest, Uml
from chaoskit.terminal import Progress, complain
from chaoskit.topology.lab import CLIENT
from chaoskit.units import Duration

LAB, RUN, OUTPUTS = "lab", "run", ("stdout", "stderr")
BEGUN, CHANGED, CHANGES = "begun", "changed", "changes.json"
"""What the guest writes: the sign that the command begins, copies of changed files, and a list of them."""

_LONGEST_LIST = 64 << 20  # bytes
_POLL = 10_000_000  # ns between two looks at the output
_NO_LIMIT = Duration.parse("8760h")
_OF_THE_GUEST = ("dev", "proc", "run", "sys")  # directories that a guest has for itself


@dataclass(frozen=True)
class Place:
    """Where in a lab a command runs: a host or a router, and whether it is interactive."""

    host: str = CLIENT
    is_interactive: bool = False


_CLIENT = Place()


def in_lab(
    plan: Plan,
    options: SubstrateOptions,
    errand: tuple[Command, Place],
    files: FileOptions,
    announce: Callable[[str], None],
) -> int:
    """Run the command at its place in the plan's lab, in this kernel if possible, otherwise in a guest.

    `announce` is told where, before it begins. Returns its exit code. Raises RefusedError if neither can, with what to
    type.
    """
    command, place = errand
    chosen, where = choose_for_command(plan.needs, options, plan.memory)
    announce(where)
    if isinstance(chosen, Uml):
        return in_guest(chosen, plan, command, files, place)
    from chaoskit.conduct import exec, lab_client  # not at the top: they load pyroute2 and the server

    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        visit = lab_client.Visit(place.host, Path(folder))
        command = replace(command, leads=place.is_interactive)
        code = kept_files.here(command, files, lambda workspace: exec.in_lab(plan, command, visit, workspace))
        _keep_logs(Path(folder), files, command)
    return code


def _keep_logs(run: Path, files: FileOptions, command: Command) -> None:
    if files.out is not None:
        with OutFolder(files.out, command.caller) as out:
            for sentence in kept_files.keep_logs(run, out):
                complain(sentence)


def in_guest(substrate: Uml, plan: Plan, command: Command, files: FileOptions, place: Place = _CLIENT) -> int:
    """Boot, build the lab, run the command at its place, and keep its files. Returns its exit code.

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
        (folder / RUN).mkdir()
        code = _run_guest(substrate, plan, (command, place), files, folder)
        _keep_logs(folder / RUN, files, command)
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


def _run_guest(substrate: Uml, plan: Plan, errand: tuple[Command, Place], files: FileOptions, folder: Path) -> int:
    command, place = errand
    with _Progress() as progress:
        job: dict[str, object] = {"argv": command.argv, "environment": dict(command.environment), "place": place.host}
        job["has_input"] = place.is_interactive or _has_input()
        job["terminal"] = terminal_relay.window_size() if place.is_interactive else None
        job["caller"] = asdict(command.caller) if command.caller else None
        job["writable"], job["keep"] = list(map(str, files.writable)), files.out is not None
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
            with StdinFeeder(folder) as feeder, ExitStack() as stack:
                lend = partial(stack.enter_context, terminal_relay.lent(folder)) if place.is_interactive else None
                return _relay(guest, folder, progress, feeder, lend)
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


def _relay(
    guest: Guest,
    folder: Path,
    progress: _Progress,
    feeder: StdinFeeder | None = None,
    lend: Callable[[], None] | None = None,
) -> int:
    """`lend` lends the terminal to the command when that begins: until then Ctrl-C is chaoskit's."""
    is_raw = False
    clock = RealClock()
    signals = SignalRelay(guest, clock)
    with signals, (folder / "stdout").open("rb") as out, (folder / "stderr").open("rb") as err:
        while True:
            signals.check()
            code = guest.poll()
            if code is not None or (folder / BEGUN).exists():
                progress.end()
                if lend is not None and code is None and not is_raw:
                    is_raw = True
                    lend()
            _copy(out, sys.stdout.buffer)
            _copy(err, sys.stderr.buffer, is_raw)
            if code is not None:
                has_begun = (folder / BEGUN).exists()
                if code in INTERRUPTED and not has_begun:
                    complain("interrupted")
                elif guest.was_cancelled:
                    complain("interrupted; the command did not end, so its guest was killed")
                if guest.shortage:
                    complain(guest.shortage)
                return code
            if feeder is not None and feeder.failure is not None:
                raise feeder.failure
            clock.sleep_until(clock.now() + _POLL)


def _copy(source: BinaryIO, sink: BinaryIO, is_raw: bool = False) -> None:
    """All that is there; to a raw terminal with the carriage returns that it does not add itself."""
    if is_raw:
        sink.write(source.read().replace(b"\n", b"\r\n"))
    else:
        shutil.copyfileobj(source, sink)
    sink.flush()


def _has_input() -> bool:
    """Whether stdin is a pipe, a file or a socket, and not a terminal or /dev/null."""
    try:
        return not stat.S_ISCHR(os.fstat(0).st_mode)
    except OSError:  # it is closed
        return False
