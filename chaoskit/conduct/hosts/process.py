"""The conductor's side of a host's processes: starts them, hears from them, signals them, ends them."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.conduct.hosts import init
from chaoskit.conduct.hosts.ending import how_it_ended
from chaoskit.conduct.hosts.log import last_lines
from chaoskit.conduct.hosts.program import HostProgram
from chaoskit.units import counted

_MESSAGE = 4096
_PACE = 10_000_000  # ns
_PATIENCE = 10**10  # ns for what the kernel does at once, on a busy machine


@dataclass(frozen=True)
class End:
    """How a program ended: its exit code, negative for a signal; when; and whether processes of it were left."""

    code: int
    at: int
    left: bool = False

    def __str__(self) -> str:
        return how_it_ended(self.code)


class HostProcess:
    """The processes of one host, from a start to their end; it may be started again.

    `first` is the PID of its PID 1 here, `started` the time at which its program began, in ns.
    """

    def __init__(self, program: HostProgram, network: int, log: Path) -> None:
        self.program, self.network, self.log = program, network, log
        self.name = program.name
        self.was_killed = False
        self.first: int | None = None
        self.started: int | None = None
        self.end: End | None = None
        self.failure = ""
        self._link: socket.socket | None = None
        self._keeper = 0
        self._did: list[str] = []

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is about to."""
        return self._link is not None and self.end is None and not self.failure

    def pids(self) -> tuple[int, ...]:
        """The PIDs here of all its processes but PID 1. Raises OSError when they cannot be found."""
        if self.first is None or self._has_ended():
            return ()
        try:
            wanted = Path(f"/proc/{self.first}/ns/pid").readlink()
        except FileNotFoundError:
            return ()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is another user's
                if int(process.name) != self.first and (process / "ns/pid").readlink() == wanted:
                    found.append(int(process.name))
        return tuple(found)

    def start(self) -> None:
        """Fork its first processes. What becomes of them, `hear` takes in."""
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self.first = self.started = self.end = None
        self.was_killed = False
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)
        parent = os.getpid()
        self._keeper = os.fork()
        if self._keeper == 0:
            self._link.close()
            init.keep(init.Start(self.program, self.network, log, theirs), parent)
        theirs.close()
        os.close(log)

    def hear(self) -> None:
        """Take in what its first process has told since."""
        if self._link is None:
            return
        has_ended = self._has_ended()
        with suppress(BlockingIOError, ConnectionError):
            while data := self._link.recv(_MESSAGE):
                self._take(json.loads(data))
        if has_ended and self.is_alive:
            self.failure = f"the host {self.program.name} was ended by another program{self.last_words()}"

    def tell(self, letter: bytes, clock: Clock) -> None:
        """Send a letter (see `init`), and wait until it is done, or the host has ended."""
        done = self._did.count(letter.decode()) + 1
        self._send(letter)
        deadline = clock.now() + _PATIENCE
        while self.is_alive and clock.now() < deadline:
            self.hear()
            if self._did.count(letter.decode()) == done:
                return
            clock.sleep_until(clock.now() + _PACE // 10)

    def pause(self, clock: Clock) -> None:
        """SIGSTOP to all of it."""
        self.tell(init.STOP, clock)

    def resume(self, clock: Clock) -> None:
        """SIGCONT to all of it."""
        self.tell(init.CONTINUE, clock)

    def kill(self, clock: Clock) -> None:
        """SIGKILL to all of it, and wait for its end."""
        self.was_killed = True
        self.finish(clock.now(), clock)

    def ask_to_stop(self) -> None:
        """SIGTERM to all of it, without waiting."""
        self._send(init.TERM)

    def finish(self, deadline: int, clock: Clock) -> None:
        """Wait for its end until `deadline`; then SIGKILL. Nothing of it is left. Never raises."""
        if self._link is None:
            return
        self._wait(deadline, clock)
        if not self._has_ended():
            self._send(init.KILL)
            self._wait(clock.now() + _PATIENCE, clock)
        if not self._has_ended():
            os.kill(self._keeper, signal.SIGKILL)
            os.waitpid(self._keeper, 0)
            self._keeper = 0
        self.hear()
        self._link.close()
        self._link = None

    def _wait(self, deadline: int, clock: Clock) -> None:
        while not self._has_ended() and clock.now() < deadline:
            clock.sleep_until(clock.now() + _PACE)

    def _send(self, letter: bytes) -> None:
        if self._link is not None:
            with suppress(OSError):  # it has ended
                self._link.send(letter)

    def last_words(self) -> str:
        """What it printed last, for the end of a sentence; "" when it printed nothing."""
        lines = last_lines(self.log)
        return f"; {counted(lines.count(chr(10)), 'last line')} of hosts/{self.log.name}:{lines}" if lines else ""

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"first": int(pid)}:
                self.first = pid
            case {"started": int(at)}:
                self.started = at
            case {"failed": str(sentence)}:
                self.failure = f"the host {self.program.name}: {sentence}"
            case {"ended": int(code), "at": int(at), "left": bool(left)}:
                self.end = End(code, at, left)
            case {"did": str(letter)}:
                self._did.append(letter)

    def _has_ended(self) -> bool:
        if self._keeper and os.waitpid(self._keeper, os.WNOHANG)[0]:
            self._keeper = 0
        return self._keeper == 0
