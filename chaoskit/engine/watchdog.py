"""The process that puts everything back when its owner cannot: forked before the first change, in its own session.

| what happens                         | what the guard does                                          |
|--------------------------------------|--------------------------------------------------------------|
| the owner dies, in whatever way      | the socket between them ends: puts all back                  |
| the lease ends, the owner is frozen  | calls it, then kills it, so that it cannot go on; puts all back |
| SIGTERM, SIGINT, SIGHUP, SIGQUIT      | the same                                                     |
| the owner asks it to settle          | puts back what is still owed, says how it went, ends         |
| the owner detaches                   | lets it go, and holds lock, lease and lifelines until the lease's end |

Rules: a guard that cannot start stops everything before the first change; it is there before the lease is, so that no
empty lease is left. It is forked, not executed, with the kernel's door open already, so that nothing is left to load,
to find or to allocate when the time has come; the journal is handed to it as a descriptor, which nobody can replace. It
measures the lease by a clock that nobody can set and that goes on while the machine sleeps. It has none of its
owner's descriptors: no terminal, no pipe, no connection waits for it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress

from chaoskit.clock import Clock, RealClock, boottime
from chaoskit.engine.close_on_fork import close_on_fork
from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import Process
from chaoskit.engine.lock import Lock
from chaoskit.engine.repayment import OpenKernel, Repayment
from chaoskit.engine.watchdog_process import CRASHED, InheritedDescriptors, run_watchdog
from chaoskit.errors import CrashError, RefusedError
from chaoskit.folder import Folder

_START, _FROZEN = 10 * 10**9, 3 * 10**9  # ns that a guard may take to start, and may stand still when asked to settle
_GLANCE = 5_000_000  # ns


class Watchdog:
    """The owner's hand on its guard."""

    def __init__(self, process: Process, line: socket.socket, account: Repayment, open_kernel: OpenKernel) -> None:
        self.process = process
        self._line, self._account, self._open_kernel = close_on_fork(line), account, open_kernel
        self._clock: Clock = RealClock()
        self._has_ended = False
        self._mistake = ""

    @classmethod
    def start(cls, account: Repayment, open_kernel: OpenKernel, ends: int, lock: Lock) -> Watchdog:
        """Fork it, and wait until it is ready. `ends` in ns of `clock.boottime`.

        Raises RefusedError, and then there is no guard, and nothing may be changed.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        copies = InheritedDescriptors(os.dup(theirs.fileno()), lock.copy(), os.pidfd_open(os.getpid()))
        close_on_fork(ours)
        former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                run_watchdog(account, open_kernel, ends, copies)
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
            if answer is not None and answer.startswith(CRASHED):
                raise CrashError(f"the guard did not start{_because(answer)}; nothing was changed")
            raise RefusedError(f"the guard did not start{_because(answer)}; nothing was changed")
        return cls(Process.of(pid), ours, account, open_kernel)

    @property
    def is_alive(self) -> bool:
        """Whether anybody would put things back if we died now."""
        if not self._has_ended:
            self._has_ended = os.waitpid(self.process.pid, os.WNOHANG)[0] != 0
        return not self._has_ended

    def entrust(self, folder: Folder, journal: Journal, run: Folder | None = None) -> None:
        """Hand over the lease's folder, its journal, and the run directory in which a copy of the journal shall be.

        Raises RefusedError when the guard is dead; then nothing may be changed.
        """
        copy = journal.copy()
        try:
            fds = [folder.fd, copy, *([] if run is None else [run.fd])]
            socket.send_fds(self._line, [b"entrust"], fds)
            self._line.settimeout(_START / 1e9)
            if _receive(self._line) != b"entrusted":
                raise RefusedError("the guard was killed or stopped before the first change; run it again")
        except OSError as error:
            raise RefusedError("the guard was killed before the first change; run it again") from error
        finally:
            os.close(copy)

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
            self.process.send(signal.SIGKILL)
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
        if last is not None and last.startswith(CRASHED):
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


def _receive(line: socket.socket) -> bytes | None:
    """A message; b"" when there will be none any more; None when none came in time."""
    try:
        return line.recv(65536)
    except TimeoutError:
        return None
    except ConnectionResetError:  # told once: the other end closed with words unread, and its last ones are still there
        return _receive(line)
    except OSError:
        return b""


def _because(answer: bytes | None) -> str:
    if answer is None:
        return " in time"
    return f": {answer.removeprefix(CRASHED).decode(errors='replace')}" if answer else ""
