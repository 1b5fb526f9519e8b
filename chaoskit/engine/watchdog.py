"""Starts the watchdog: a process that restores everything when its owner dies or its lease ends.

It is forked before the first change, in its own session.

| event                                | what the watchdog does                                           |
|--------------------------------------|------------------------------------------------------------------|
| the owner dies, for any reason       | sees the end of the socket between them, and restores            |
| the lease ends, the owner is frozen  | waits a moment for the owner, kills it, and restores             |
| SIGTERM, SIGINT, SIGHUP, SIGQUIT     | kills the owner, and restores                                    |
| the owner asks it to restore         | restores what is still pending, reports the result, ends         |
| the owner detaches                   | keeps lock, lease and owner sockets until the lease ends         |

Rules: if the watchdog cannot start, nothing is changed. It is started before the lease is written, so that no empty
lease is left. It is forked, not executed, and its kernel connection is already open, so that it has nothing to load,
to find or to allocate when it has to act; it inherits the journal's descriptor, which nobody can replace. It measures
the lease by a clock that cannot be set and that runs while the machine sleeps. It has no other descriptor of its
owner: no terminal, pipe or connection stays open because of it.
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
from chaoskit.engine.lease_restore import LeaseRestore, OpenKernel
from chaoskit.engine.lock import Lock
from chaoskit.engine.watchdog_process import CRASHED, InheritedDescriptors, run_watchdog
from chaoskit.errors import CrashError, RefusedError
from chaoskit.folder import Folder

_START_TIMEOUT = 10 * 10**9  # ns that a watchdog may take to start, and to answer
_STOPPED_TIMEOUT = 3 * 10**9  # ns that a watchdog may be stopped (SIGSTOP) when it is asked to restore
_POLL = 5_000_000  # ns


class Watchdog:
    """The watchdog as its owner sees it."""

    def __init__(self, process: Process, channel: socket.socket, lease: LeaseRestore, open_kernel: OpenKernel) -> None:
        self.process = process
        self._channel, self._lease, self._open_kernel = close_on_fork(channel), lease, open_kernel
        self._clock: Clock = RealClock()
        self._has_ended = False
        self._crash = ""

    @classmethod
    def start(cls, lease: LeaseRestore, open_kernel: OpenKernel, deadline: int, lock: Lock) -> Watchdog:
        """Fork it, and wait until it is ready. `deadline` in ns of `clock.boottime`.

        Raises RefusedError; then there is no watchdog, and nothing may be changed.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        inherited = InheritedDescriptors(os.dup(theirs.fileno()), lock.copy(), os.pidfd_open(os.getpid()))
        close_on_fork(ours)
        former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                run_watchdog(lease, open_kernel, deadline, inherited)
        except OSError as error:
            ours.close()
            raise RefusedError(f"no watchdog can be started: {error.strerror}; nothing was changed") from error
        finally:
            theirs.close()
            inherited.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        ours.settimeout(_START_TIMEOUT / 1e9)
        answer = _receive(ours)
        if answer != b"ready":
            ours.close()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if answer is not None and answer.startswith(CRASHED):
                raise CrashError(f"the watchdog did not start{_reason(answer)}; nothing was changed")
            raise RefusedError(f"the watchdog did not start{_reason(answer)}; nothing was changed")
        return cls(Process.of(pid), ours, lease, open_kernel)

    @property
    def is_alive(self) -> bool:
        """Whether it would restore everything if this process died now."""
        if not self._has_ended:
            self._has_ended = os.waitpid(self.process.pid, os.WNOHANG)[0] != 0
        return not self._has_ended

    def hand_over(self, folder: Folder, journal: Journal, run: Folder | None = None) -> None:
        """Pass it the lease's folder, the journal, and the run directory that gets a copy of the journal.

        Raises RefusedError when the watchdog is dead; then nothing may be changed.
        """
        copy = journal.copy()
        try:
            fds = [folder.fd, copy, *([] if run is None else [run.fd])]
            socket.send_fds(self._channel, [b"hand-over"], fds)
            self._channel.settimeout(_START_TIMEOUT / 1e9)
            if _receive(self._channel) != b"accepted":
                raise RefusedError("the watchdog was killed or stopped before the first change; run it again")
        except OSError as error:
            raise RefusedError("the watchdog was killed before the first change; run it again") from error
        finally:
            os.close(copy)

    def require_alive(self) -> None:
        """Raises RefusedError when the watchdog was killed, and CrashError when it crashed."""
        if self.is_alive:
            return
        self._note_crash(_receive(self._channel))
        if self._crash:
            raise CrashError(f"the watchdog ended{self._crash}; without it nothing stays changed")
        raise RefusedError(
            f"the watchdog (process {self.process.pid}) was killed: without it nothing stays changed; run it again"
        )

    def renew(self, span: int) -> None:
        """The lease now ends `span` ns from now. Raises as `require_alive` does."""
        self.require_alive()
        self._send(f"deadline {boottime() + span}")

    def detach(self, owner_sockets: tuple[int, ...] = ()) -> None:
        """Leave lock and lease to the watchdog alone until the lease's end. The owner may exit.

        `owner_sockets` are the descriptors that settings in force depend on: the watchdog keeps copies of them.
        Raises RefusedError when there is no watchdog to keep them.
        """
        with suppress(OSError):  # dead: then no answer follows
            socket.send_fds(self._channel, [b"detach"], owner_sockets, socket.MSG_DONTWAIT)
        self._channel.settimeout(_START_TIMEOUT / 1e9)
        if _receive(self._channel) != b"detached":
            raise RefusedError("the watchdog was killed or stopped, so nothing can hold the lease; run it again")
        self._channel.close()

    def restore(self) -> list[str]:
        """Have it restore what is still pending, and end the lease. Returns the leftovers, a sentence each.

        When the watchdog was killed or is stopped, this process does it instead. Raises CrashError when the watchdog
        crashed and everything was restored.
        """
        self._send("restore")
        answer = self._answer(_STOPPED_TIMEOUT if self._has_pending() else 0)
        self._channel.close()
        if answer is None:
            self.process.send_signal(signal.SIGKILL)
            if not self._has_ended:
                os.waitpid(self.process.pid, 0)
            self._has_ended = True
            leftovers = self._lease.restore(self._open_kernel)
            if self._crash and not leftovers:
                raise CrashError(f"the watchdog ended{self._crash}; everything was restored without it")
            return leftovers
        if not self._has_ended:
            os.waitpid(self.process.pid, 0)
            self._has_ended = True
        return answer

    def _send(self, message: str) -> None:
        with suppress(OSError):  # dead, or stopped with a full socket: both are noticed later
            self._channel.send(message.encode(), socket.MSG_DONTWAIT)

    def _note_crash(self, last: bytes | None) -> None:
        if last is not None and last.startswith(CRASHED):
            self._crash = _reason(last)

    def _has_pending(self) -> bool:
        try:
            return bool(self._lease.pending())
        except RefusedError:
            return True

    def _answer(self, patience: int) -> list[str] | None:
        """The watchdog's leftovers; None when it was killed, or has been stopped for `patience` ns."""
        self._channel.settimeout(_POLL / 1e9)
        stopped_since: int | None = None
        while True:
            answer = _receive(self._channel)
            if answer is not None:
                self._note_crash(answer)
                return [str(each) for each in json.loads(answer)] if answer.startswith(b"[") else None
            if self.process.state not in "Tt":
                stopped_since = None
            elif stopped_since is None:
                stopped_since = self._clock.now()
            elif self._clock.now() - stopped_since > patience:
                return None


def _receive(channel: socket.socket) -> bytes | None:
    """A message; b"" at the end of the connection; None on timeout."""
    try:
        return channel.recv(65536)
    except TimeoutError:
        return None
    except ConnectionResetError:  # raised once, when the peer closed with unread messages; its last ones follow
        return _receive(channel)
    except OSError:
        return b""


def _reason(answer: bytes | None) -> str:
    if answer is None:
        return " in time"
    return f": {answer.removeprefix(CRASHED).decode(errors='replace')}" if answer else ""
