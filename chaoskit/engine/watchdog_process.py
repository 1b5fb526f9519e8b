"""Runs inside the watchdog process, from its fork to its exit.

`chaoskit.engine.watchdog` has the table of events and what the watchdog does for each.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from chaoskit import crash_report
from chaoskit.clock import boottime
from chaoskit.engine.apply_restore import restore
from chaoskit.engine.journal import FILE, Journal
from chaoskit.engine.lease import LOG
from chaoskit.engine.lease_restore import LeaseRestore, OpenKernel, keep_copy
from chaoskit.engine.lock import accept_waiting, become_holder
from chaoskit.errors import EXIT_SOFTWARE, RefusedError
from chaoskit.folder import Folder
from chaoskit.knobs import Kernel, Knob

NAME = "chaoskit-watch"  # as ps(1) and pkill(1) show it; the kernel keeps 15 characters
_TERMINATING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_MAX_WAIT = 10**9  # ns between two checks of the clock: the machine may have slept
_MAX_DESCRIPTORS = 8  # that the owner may pass in one message
CRASHED = b"crashed "  # starts the last message of a watchdog that crashes
_GRACE_POLLS, _GRACE_POLL = 5, 100  # how often a late owner gets a chance to send something, and for how many ms


@dataclass(frozen=True)
class InheritedDescriptors:
    """The three descriptors that a watchdog inherits: the socket to its owner, the lock, and the owner's pidfd."""

    channel: int
    lock: int
    owner: int

    def close(self) -> None:
        for fd in (self.channel, self.lock, self.owner):
            os.close(fd)


def run_watchdog(
    lease: LeaseRestore, open_kernel: OpenKernel, deadline: int, inherited: InheritedDescriptors
) -> NoReturn:
    """Run the watchdog to its end; never returns."""
    code = EXIT_SOFTWARE
    try:
        gc.disable()  # finalizers of the owner's objects would close descriptors that are reused here
        wakeup = _daemonize(inherited)
        with socket.socket(fileno=inherited.channel) as channel:
            try:
                with open_kernel() as kernel:
                    with suppress(OSError):  # the owner is dead already, which is noticed next
                        channel.send(b"ready")
                    kernel.read(Knob("link", "", "lo"))  # run once, so that its memory is allocated now
                    _WatchdogLoop(lease, kernel, channel, inherited, wakeup).run(deadline)
                code = 0
            except RefusedError as error:
                code = error.exit_code
                with suppress(OSError):
                    channel.send(str(error).encode(errors="backslashreplace"))
            except Exception as error:
                with suppress(OSError):
                    channel.send(CRASHED + crash_report.summary(error).encode())
                raise
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.print_report(error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _daemonize(inherited: InheritedDescriptors) -> int:
    """Leave the owner's session, terminal, folder and descriptors. Returns the descriptor on which signals arrive."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    keep = {inherited.channel, inherited.lock, inherited.owner, null}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  numbers, not paths
        if int(name) not in keep:
            with suppress(OSError):  # the descriptor of this listing
                os.fstat(int(name))
                os.dup2(null, int(name), inheritable=False)
    Path("/proc/self/comm").write_text(NAME)
    with suppress(OSError):  # needs CAP_SYS_RESOURCE
        Path("/proc/self/oom_score_adj").write_text("-1000")
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # act in time on a busy machine
    wakeup, write_end = os.pipe()
    os.set_blocking(write_end, False)
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for sign in _TERMINATING:
        signal.signal(sign, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return wakeup


@dataclass
class _WatchdogLoop:
    """Waits for an event, and restores. `journal` and `run_folder` are descriptors of the journal and of the folder
    that gets a copy of it."""

    lease: LeaseRestore
    kernel: Kernel
    channel: socket.socket
    inherited: InheritedDescriptors
    wakeup: int
    received: list[int] = field(default_factory=list)
    journal: int | None = None
    run_folder: int | None = None

    def run(self, deadline: int) -> None:
        """Wait for the first reason to restore, and restore.

        A late owner may have been paused together with this process (a suspended machine), so it gets some more polls
        after the deadline to send its message.
        """
        poll = select.poll()
        for fd in (self.channel.fileno(), self.wakeup, self.inherited.lock):
            poll.register(fd, select.POLLIN)
        is_waiting = True
        has_owner = True  # the owner is killed before the restore
        while is_waiting:
            left = max(0, deadline - boottime())
            if not left and not (has_owner and any(self._has_event(poll) for _ in range(_GRACE_POLLS))):
                break
            for fd, _ in poll.poll(min(left, _MAX_WAIT) / 1e6 + 1):
                if fd == self.inherited.lock:
                    accept_waiting(fd)
                    continue
                if fd == self.wakeup:
                    is_waiting = False
                    continue
                match self._receive():
                    case ["deadline", stamp]:
                        deadline = int(stamp)
                    case ["hand-over"]:
                        self._accept_hand_over()
                    case ["detach"]:
                        has_owner = False
                        poll.unregister(self.channel)
                        become_holder(self.inherited.lock)
                        self._send(b"detached")
                    case ["restore"]:
                        is_waiting = has_owner = False
                    case _:
                        is_waiting = False
        self._finish(has_owner)

    def _has_event(self, poll: select.poll) -> bool:
        """Whether anything but a connection to the lock arrives within one poll."""
        return any(fd != self.inherited.lock for fd, _ in poll.poll(_GRACE_POLL))

    def _receive(self) -> list[str]:
        with suppress(OSError):
            message, descriptors, _, _ = socket.recv_fds(self.channel, 64, _MAX_DESCRIPTORS)
            self.received += descriptors
            return message.decode().split()
        return []

    def _send(self, message: bytes) -> None:
        with suppress(OSError):
            self.channel.send(message)

    def _accept_hand_over(self) -> None:
        """Take the descriptors of the lease's folder, the journal and the run directory; log into the folder."""
        folder_fd, self.journal, *run = self.received
        self.run_folder = run[0] if run else None
        self.received = []
        with Folder(folder_fd, self.lease.leases.folder(self.lease.id)) as folder:
            log = folder.create(LOG)
        os.dup2(log, 2)
        os.close(log)
        self._send(b"accepted")

    def _finish(self, has_owner: bool) -> None:
        if has_owner:
            _kill(self.inherited.owner)
            become_holder(self.inherited.lock)
        leftovers = self._restore()
        self.lease.close(leftovers)
        self._send(json.dumps(_truncated(leftovers)).encode())

    def _restore(self) -> list[str]:
        for fd in self.received:  # what depends on these sockets ends with them
            os.close(fd)
        if self.journal is None:
            return []  # nothing was changed yet
        try:
            with Journal(self.journal, self.lease.leases.folder(self.lease.id) / FILE) as journal:
                leftovers = [str(each) for each in restore(self.kernel, journal)]
                if self.run_folder is not None:
                    keep_copy(journal, Folder(self.run_folder, Path()))
                return leftovers
        except RefusedError as error:
            return [str(error)]


def _kill(owner: int) -> None:
    """Kill the process behind this pidfd, and wait for its end."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(owner, signal.SIGKILL)
    poll = select.poll()
    poll.register(owner, select.POLLIN)
    poll.poll(5000)


def _truncated(leftovers: list[str]) -> list[str]:
    """What fits into one message."""
    return [each[:500] for each in leftovers[:50]]
