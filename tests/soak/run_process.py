"""Starts one run of the program and observes it until its last process has ended.

A run is a real process. Cold, it is the command as a shell starts it. Warm, it is forked from this process, which has
the modules imported already: a guest starts Python in seconds, and a cold run would spend most of its time importing.
Either way it has its own session. Its processes are all those that did not exist before.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import chaoskit.cli.app  # noqa: F401  imported once, for all forks
from chaoskit.cli.main import main
from chaoskit.engine.watchdog_process import NAME as WATCHDOG
from chaoskit.kernel import namespaces

POLL = 0.002  # s between two looks at what a run does
PATIENCE = 20.0  # s that anything may take before it counts as never


@dataclass(frozen=True)
class Progress:
    """What the journal of a run said at one moment: how many lines of each kind."""

    intents: int = 0
    done: int = 0
    restored: int = 0

    @property
    def lines(self) -> int:
        """All of them."""
        return self.intents + self.done + self.restored


class RunProcess:
    """A run that has been started with these words; `state` is its state folder, `place` its network namespace."""

    def __init__(self, words: tuple[str, ...], state: Path, cold: bool = False, place: str = "") -> None:
        self._before = frozenset(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
        self._leases = frozenset(leases(state))
        self.arguments, self.state = words, state
        self._said = state.parent / f"{state.name}{place}.said"
        self._said.write_text("")
        self.began = time.monotonic()
        self.conductor = _fork(words, state, self._said, cold, place)
        self.code: int | None = None
        self._journal: int | None = None

    def others(self) -> list[int]:
        """The living processes of this run but the conductor, the oldest first."""
        return list(processes(self._before | {self.conductor}))

    def watchdogs(self) -> list[int]:
        """Those of them that are watchdogs, by their name; feature tests fork processes too."""
        return [pid for pid in self.others() if _name(pid) == WATCHDOG]

    def lease(self) -> Path | None:
        """The folder of its lease, while there is one."""
        return next(iter(sorted(self.leases())), None)

    def leases(self) -> frozenset[Path]:
        """The folders of all that have been made since it began."""
        return leases(self.state) - self._leases

    def progress(self) -> Progress | None:
        """None before there is a journal. What was said last is known when the file has gone, too."""
        if self._journal is None:
            lease = self.lease()
            self._journal = opened(lease) if lease else None
        if self._journal is None:
            return None
        raw = os.pread(self._journal, os.fstat(self._journal).st_size, 0)
        return Progress(*(raw.count(b'"type":"' + kind + b'"}\n') for kind in (b"intent", b"done", b"restored")))

    def until(self) -> float | None:
        """When its lease ends, by the monotonic clock; None while there is none."""
        lease = self.lease()
        with suppress(OSError, ValueError, KeyError):
            if lease:
                return ends(json.loads((lease / "lease.json").read_text()))
        return None

    def has_ended(self) -> bool:
        """Whether the conductor has; then its exit code is in `code`."""
        if self.code is None:
            pid, status = os.waitpid(self.conductor, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait_for_end(self, patience: float = PATIENCE) -> float | None:
        """Wait until nothing of it lives; the moment by the monotonic clock, None when it does not come."""
        deadline = time.monotonic() + patience
        while living := ([] if self.has_ended() else [self.conductor]) + self.others():
            if not _await_end(living[-1], deadline - time.monotonic()):
                return None
        return time.monotonic()

    def end(self) -> None:
        """Kill whatever is left of it."""
        for pid in [self.conductor, *self.others()]:
            if pid != self.conductor or not self.has_ended():
                kill(pid, signal.SIGKILL)
        wait_until(lambda: self.has_ended() and not self.others(), PATIENCE)
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def words(self) -> str:
        """What it has said."""
        return self._said.read_text(errors="replace")


def leases(state: Path) -> frozenset[Path]:
    """The folders of all leases that stand in a state folder."""
    with suppress(FileNotFoundError):
        return frozenset((state / "leases").iterdir())
    return frozenset()


def opened(lease: Path) -> int | None:
    """The journal of a lease; None while there is none."""
    try:
        return os.open(lease / "journal.jsonl", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def ends(lease: dict[str, Any]) -> float:
    """When a lease ends, by the monotonic clock."""
    return datetime.fromisoformat(lease["until"]).timestamp() - time.time() + time.monotonic()


def processes(but: frozenset[int] = frozenset()) -> Iterator[int]:
    """All except these, except the kernel's own, and except those that have ended."""
    for name in os.listdir("/proc"):  # noqa: PTH208  many times a second
        if name.isdigit() and int(name) not in but:
            with suppress(OSError):
                status = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if status[0] not in "ZX" and status[1] not in ("0", "2"):
                    yield int(name)


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path("/proc", str(pid), "comm").read_text().strip()
    return ""


def _await_end(pid: int, patience: float) -> bool:
    """Sleep until a process has ended; whether it did in time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    try:
        return bool(poll.poll(max(0.0, patience) * 1000))
    finally:
        os.close(fd)


def kill(pid: int, sign: signal.Signals) -> None:
    """Send a signal, if the process exists."""
    with suppress(ProcessLookupError):
        os.kill(pid, sign)


def wait_until(condition: Callable[[], bool], patience: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def warm_up(begin: Callable[[], RunProcess]) -> None:
    """Import here what such a run imports, for all later ones."""
    descriptor, name = tempfile.mkstemp(prefix="imported-")
    os.close(descriptor)
    os.environ["SOAK_NOTES"] = name
    process = begin()
    wait_until(lambda: "in force" in process.words() or process.has_ended(), 3 * PATIENCE)
    if not process.has_ended():
        kill(process.conductor, signal.SIGTERM)
    process.wait_for_end()
    process.end()
    del os.environ["SOAK_NOTES"]
    imported = Path(name).read_text().split()
    Path(name).unlink()
    if not imported:
        raise RuntimeError(f"{' '.join(process.arguments)} ended with {process.code}: {process.words()}")
    for each in imported:
        importlib.import_module(each)


def command(words: tuple[str, ...], state: Path) -> tuple[int, str, float]:
    """Run the program, warm, to its end: exit code, what it said, how many seconds it took."""
    process = RunProcess(words, state)
    wait_until(process.has_ended, PATIENCE)
    took = time.monotonic() - process.began
    process.end()
    assert process.code is not None
    return process.code, process.words(), took


def _fork(words: tuple[str, ...], state: Path, said: Path, cold: bool, place: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        if place:
            namespaces.enter(os.open(f"/run/netns/{place}", os.O_RDONLY | os.O_CLOEXEC))
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115  a test's may be captured
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.environ["CHAOSKIT_STATE"] = str(state)
        if cold:
            os.execv(sys.executable, [sys.executable, "-P", "-m", "chaoskit", *words])
        sys.argv = ["chaoskit", *words]
        main()
        code = 0
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(bool(asked.code))
    except BaseException as error:  # noqa: BLE001  the child must not go on as a second soak
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        if "SOAK_NOTES" in os.environ:
            imported = [name for name in sys.modules if name.startswith("chaoskit.")]
            Path(os.environ["SOAK_NOTES"]).write_text("\n".join(imported))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
