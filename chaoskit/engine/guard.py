"""The process that puts everything back when its owner cannot: forked before the first change, in its own session.

| what happens                         | what the guard does                                          |
|--------------------------------------|--------------------------------------------------------------|
| the owner dies, in whatever way      | the socket between them ends: puts all back                  |
| the lease ends, the owner is frozen  | calls it, then kills it, so that it cannot go on; puts all back |
| SIGTERM, SIGINT, SIGHUP, SIGQUIT      | the same                                                     |
| the owner asks it to settle          | puts back what is still owed, says how it went, ends         |
| the owner detaches                   | lets it go, and holds lock, lease and lifelines until the lease's end |

Rules: a guard that cannot start stops everything before the first change. It is forked, not executed, with the
kernel's door open already, so that nothing is left to load, to find or to allocate when the time has come. It
measures the lease by a clock that nobody can set and that goes on while the machine sleeps. It has none of its
owner's descriptors: no terminal, no pipe, no connection waits for it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from chaoskit import crash
from chaoskit.clock import Clock, RealClock, boottime
from chaoskit.engine.journal import Debt, Journal
from chaoskit.engine.lease import LOG, Leases, Process, owed_in
from chaoskit.engine.lock import Lock, adopt
from chaoskit.engine.private import private
from chaoskit.engine.session import restore
from chaoskit.errors import EXIT_SOFTWARE, CrashError, RefusedError
from chaoskit.knobs import Kernel, Knob

NAME = "chaoskit-guard"  # what ps(1) and pkill(1) call it
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_SLICE = 10**9  # ns between two looks at the clock at the most: a machine may have slept
_START, _FROZEN = 10 * 10**9, 3 * 10**9  # ns that a guard may take to start, and may stand still when asked to settle
_GLANCE = 5_000_000  # ns
_LIFELINES = 8  # descriptors of its owner's that a guard takes at the most
_CRASHED = b"crashed "  # begins the last message of a guard that a mistake of ours ends
_CALLS, _CALL = 5, 100  # times, and ms: how often an owner is called that is late, and how long it has to answer

OpenKernel = Callable[[], AbstractContextManager[Kernel]]


@dataclass(frozen=True)
class Account:
    """A lease that has to be paid: where it is written down, and what its journal is about."""

    leases: Leases
    id: str
    journal: Path

    def owed(self) -> list[Debt]:
        """As `Leases.owed`."""
        return owed_in(self.journal)

    def pay(self, open_kernel: OpenKernel) -> list[str]:
        """Put back what is owed and end the lease. Returns what could not be, each in a sentence; the lease stays."""
        try:
            leftovers: list[str] = []
            if self.owed():
                with open_kernel() as kernel, Journal(self.journal) as journal:
                    leftovers = [str(each) for each in restore(kernel, journal)]
        except RefusedError as error:
            leftovers = [str(error)]
        self.close(leftovers)
        return leftovers

    def close(self, leftovers: list[str]) -> None:
        """End the lease, or keep it with what is left."""
        if leftovers:
            self.leases.note_leftovers(self.id, leftovers)
        else:
            self.leases.end(self.id)


class Guard:
    """The owner's hand on its guard."""

    def __init__(self, process: Process, line: socket.socket, account: Account, open_kernel: OpenKernel) -> None:
        self.process = process
        self._line, self._account, self._open_kernel = private(line), account, open_kernel
        self._clock: Clock = RealClock()
        self._has_ended = False
        self._mistake = ""

    @classmethod
    def start(cls, account: Account, open_kernel: OpenKernel, ends: int, lock: Lock) -> Guard:
        """Fork it, and wait until it is ready. `ends` in ns of `clock.boottime`.

        Raises RefusedError, and then there is no guard, and nothing may be changed.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        copies = _Copies(os.dup(theirs.fileno()), lock.copy(), os.pidfd_open(os.getpid()))
        private(ours)
        former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _live(account, open_kernel, ends, copies)
        except OSError as error:
            ours.close()
            raise RefusedError(f"no guard can be started: {error.strerror}; nothing was changed") from error
        finally:
            theirs.close()
            copies.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        ours.settimeout(_START / 1e9)
        answer = _receive(ours)
        if answer != b"ready":
            ours.close()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if answer is not None and answer.startswith(_CRASHED):
                raise CrashError(f"the guard did not start{_because(answer)}; nothing was changed")
            raise RefusedError(f"the guard did not start{_because(answer)}; nothing was changed")
        return cls(Process.of(pid), ours, account, open_kernel)

    @property
    def is_alive(self) -> bool:
        """Whether anybody would put things back if we died now."""
        if not self._has_ended:
            self._has_ended = os.waitpid(self.process.pid, os.WNOHANG)[0] != 0
        return not self._has_ended

    def require(self) -> None:
        """Raises RefusedError when the guard was killed, CrashError when a mistake of ours ended it: end, put back."""
        if self.is_alive:
            return
        self._hear(_receive(self._line))
        if self._mistake:
            raise CrashError(f"the guard ended{self._mistake}; without it nothing stays changed")
        raise RefusedError(
            f"the guard (process {self.process.pid}) was killed: without it nothing stays changed; run it again"
        )

    def renew(self, span: int) -> None:
        """The lease now ends `span` ns from now. Raises as `require` does."""
        self.require()
        self._say(f"ends {boottime() + span}")

    def detach(self, lifelines: tuple[int, ...] = ()) -> None:
        """From now on the guard alone holds lock and lease, until the lease's end. The owner may go.

        `lifelines` are the descriptors that something in force hangs on: the guard holds copies of them.
        Raises RefusedError when there is no guard to hold them.
        """
        with suppress(OSError):  # dead: there is no answer then
            socket.send_fds(self._line, [b"detach"], lifelines, socket.MSG_DONTWAIT)
        self._line.settimeout(_START / 1e9)
        if _receive(self._line) != b"detached":
            raise RefusedError("the guard was killed or stopped, so nobody can hold the lease; run it again")
        self._line.close()

    def settle(self) -> list[str]:
        """Have put back what is still owed, and end the lease. Returns what is left, each in a sentence.

        A guard that was killed, or stands still, does not matter: then it is done here. Raises CrashError when a
        mistake of ours ended it, and all was put back.
        """
        self._say("settle")
        answer = self._answer(_FROZEN if self._owes() else 0)
        self._line.close()
        if answer is None:
            _kill(self.process.pid)
            if not self._has_ended:
                os.waitpid(self.process.pid, 0)
            self._has_ended = True
            left = self._account.pay(self._open_kernel)
            if self._mistake and not left:
                raise CrashError(f"the guard ended{self._mistake}; all was put back without it")
            return left
        if not self._has_ended:
            os.waitpid(self.process.pid, 0)
            self._has_ended = True
        return answer

    def _say(self, words: str) -> None:
        with suppress(OSError):  # dead, or frozen and full of words: both are seen later
            self._line.send(words.encode(), socket.MSG_DONTWAIT)

    def _hear(self, last: bytes | None) -> None:
        if last is not None and last.startswith(_CRASHED):
            self._mistake = _because(last)

    def _owes(self) -> bool:
        try:
            return bool(self._account.owed())
        except RefusedError:
            return True

    def _answer(self, patience: int) -> list[str] | None:
        """How the guard says it went; None when it was killed, or stands still for so many ns."""
        self._line.settimeout(_GLANCE / 1e9)
        frozen_since: int | None = None
        while True:
            answer = _receive(self._line)
            if answer is not None:
                self._hear(answer)
                return [str(each) for each in json.loads(answer)] if answer.startswith(b"[") else None
            if self.process.state not in "Tt":
                frozen_since = None
            elif frozen_since is None:
                frozen_since = self._clock.now()
            elif self._clock.now() - frozen_since > patience:
                return None


@dataclass(frozen=True)
class _Copies:
    """The three descriptors that a guard inherits: the line to its owner, the lock, and the owner itself."""

    line: int
    lock: int
    owner: int

    def close(self) -> None:
        for each in (self.line, self.lock, self.owner):
            os.close(each)


def _live(account: Account, open_kernel: OpenKernel, ends: int, copies: _Copies) -> NoReturn:
    """The guard's whole life."""
    code = EXIT_SOFTWARE
    try:
        gc.disable()  # what the owner had is never tidied up here, under numbers that are ours by now
        alarm = _seclude(account.leases.folder(account.id) / LOG, copies)
        with socket.socket(fileno=copies.line) as line:
            try:
                with open_kernel() as kernel:
                    line.send(b"ready")
                    kernel.read(Knob("link", "", "lo"))  # touched once, the memory that it takes is ours by now
                    _Watch(account, kernel, line, copies, alarm).until(ends)
                code = 0
            except RefusedError as error:
                code = error.exit_code
                with suppress(OSError):
                    line.send(str(error).encode(errors="backslashreplace"))
            except Exception as error:
                with suppress(OSError):
                    line.send(_CRASHED + crash.summary(error).encode())
                raise
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash.tell(error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _seclude(log: Path, copies: _Copies) -> int:
    """Leave the owner's session, terminal, folder and descriptors. Returns where a signal can be read."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    keep = {copies.line, copies.lock, copies.owner, null, said}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  numbers, not paths
        if int(name) not in keep:
            with suppress(OSError):  # the one that listed them
                os.fstat(int(name))
                os.dup2(null, int(name), inheritable=False)
    os.dup2(said, 2)
    Path("/proc/self/comm").write_text(NAME)
    with suppress(OSError):  # not without the right to
        Path("/proc/self/oom_score_adj").write_text("-1000")
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # a busy machine is no reason to be late
    alarm, bell = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    for sign in _ENDING:
        signal.signal(sign, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return alarm


@dataclass
class _Watch:
    """A guard at work."""

    account: Account
    kernel: Kernel
    line: socket.socket
    copies: _Copies
    alarm: int
    lifelines: list[int] = field(default_factory=list)

    def until(self, ends: int) -> None:
        """Wait for the first reason to pay, and pay.

        Who is late may have been held up together with us: it is heard, and has time to speak, after the end as well.
        A machine that stands still meanwhile takes one call's time, not that of all.
        """
        poll = select.poll()
        poll.register(self.line, select.POLLIN)
        poll.register(self.alarm, select.POLLIN)
        is_watching = True
        is_owned = True  # the owner is to be ended first
        while is_watching:
            left = max(0, ends - boottime())
            if not left and not (is_owned and any(poll.poll(_CALL) for _ in range(_CALLS))):
                break
            for fd, _ in poll.poll(min(left, _SLICE) / 1e6 + 1):
                if fd == self.alarm:
                    is_watching = False
                    continue
                match self._listen():
                    case ["ends", stamp]:
                        ends = int(stamp)
                    case ["detach"]:
                        is_owned = False
                        poll.unregister(self.line)
                        adopt(self.copies.lock)
                        with suppress(OSError):
                            self.line.send(b"detached")
                    case ["settle"]:
                        is_watching = is_owned = False
                    case _:
                        is_watching = False
        self._pay(is_owned)

    def _listen(self) -> list[str]:
        with suppress(OSError):
            words, lifelines, _, _ = socket.recv_fds(self.line, 64, _LIFELINES)
            self.lifelines += lifelines
            return words.decode().split()
        return []

    def _pay(self, is_owned: bool) -> None:
        if is_owned:
            _end(self.copies.owner)
            adopt(self.copies.lock)
        leftovers = self._put_back()
        self.account.close(leftovers)
        with suppress(OSError):
            self.line.send(json.dumps(_short(leftovers)).encode())

    def _put_back(self) -> list[str]:
        for lifeline in self.lifelines:
            os.close(lifeline)
        try:
            with Journal(self.account.journal) as journal:
                return [str(each) for each in restore(self.kernel, journal)]
        except RefusedError as error:
            return [str(error)]


def _end(owner: int) -> None:
    """Kill the process behind this pidfd, and wait until it can do nothing any more."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(owner, signal.SIGKILL)
    gone = select.poll()
    gone.register(owner, select.POLLIN)
    gone.poll(5000)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _receive(line: socket.socket) -> bytes | None:
    """A message; b"" when there will be none any more; None when none came in time."""
    try:
        return line.recv(65536)
    except TimeoutError:
        return None
    except (
        ConnectionResetError
    ):  # told once, when the other end closed with words unread; its last ones are still there
        return _receive(line)
    except OSError:
        return b""


def _because(answer: bytes | None) -> str:
    if answer is None:
        return " in time"
    return f": {answer.removeprefix(_CRASHED).decode(errors='replace')}" if answer else ""


def _short(leftovers: list[str]) -> list[str]:
    """What fits into one message."""
    return [each[:500] for each in leftovers[:50]]
