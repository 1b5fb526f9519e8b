"""The life of a guard: what it does from its fork to its end. See `chaoskit.engine.watchdog` for when it does what."""

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
from chaoskit.engine.lock import adopt, answer
from chaoskit.engine.repayment import OpenKernel, Repayment, keep_copy
from chaoskit.errors import EXIT_SOFTWARE, RefusedError
from chaoskit.folder import Folder
from chaoskit.knobs import Kernel, Knob

NAME = "chaoskit-guard"  # what ps(1) and pkill(1) call it
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_SLICE = 10**9  # ns between two looks at the clock at the most: a machine may have slept
_LIFELINES = 8  # descriptors of its owner's that a guard takes at the most
CRASHED = b"crashed "  # begins the last message of a guard that a mistake of ours ends
_CALLS, _CALL = 5, 100  # times, and ms: how often an owner is called that is late, and how long it has to answer


@dataclass(frozen=True)
class InheritedDescriptors:
    """The three descriptors that a guard inherits: the line to its owner, the lock, and the owner itself."""

    line: int
    lock: int
    owner: int

    def close(self) -> None:
        for each in (self.line, self.lock, self.owner):
            os.close(each)


def run_watchdog(account: Repayment, open_kernel: OpenKernel, ends: int, copies: InheritedDescriptors) -> NoReturn:
    """The guard's whole life."""
    code = EXIT_SOFTWARE
    try:
        gc.disable()  # what the owner had is never tidied up here, under numbers that are ours by now
        alarm = _seclude(copies)
        with socket.socket(fileno=copies.line) as line:
            try:
                with open_kernel() as kernel:
                    with suppress(OSError):  # the owner is dead already, which is seen next
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
                    line.send(CRASHED + crash_report.summary(error).encode())
                raise
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.tell(error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _seclude(copies: InheritedDescriptors) -> int:
    """Leave the owner's session, terminal, folder and descriptors. Returns where a signal can be read."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    keep = {copies.line, copies.lock, copies.owner, null}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  numbers, not paths
        if int(name) not in keep:
            with suppress(OSError):  # the one that listed them
                os.fstat(int(name))
                os.dup2(null, int(name), inheritable=False)
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
    """A guard at work. `journal` and `run` are what it was entrusted with: the journal, and where a copy of it goes."""

    account: Repayment
    kernel: Kernel
    line: socket.socket
    copies: InheritedDescriptors
    alarm: int
    lifelines: list[int] = field(default_factory=list)
    journal: int | None = None
    run: int | None = None

    def until(self, ends: int) -> None:
        """Wait for the first reason to pay, and pay.

        Who is late may have been held up together with us: it is heard, and has time to speak, after the end as well.
        A machine that stands still meanwhile takes one call's time, not that of all.
        """
        poll = select.poll()
        for each in (self.line.fileno(), self.alarm, self.copies.lock):
            poll.register(each, select.POLLIN)
        is_watching = True
        is_owned = True  # the owner is to be ended first
        while is_watching:
            left = max(0, ends - boottime())
            if not left and not (is_owned and any(self._is_called(poll) for _ in range(_CALLS))):
                break
            for fd, _ in poll.poll(min(left, _SLICE) / 1e6 + 1):
                if fd == self.copies.lock:
                    answer(fd)
                    continue
                if fd == self.alarm:
                    is_watching = False
                    continue
                match self._listen():
                    case ["ends", stamp]:
                        ends = int(stamp)
                    case ["entrust"]:
                        self._take_over()
                    case ["detach"]:
                        is_owned = False
                        poll.unregister(self.line)
                        adopt(self.copies.lock)
                        self._say(b"detached")
                    case ["settle"]:
                        is_watching = is_owned = False
                    case _:
                        is_watching = False
        self._pay(is_owned)

    def _is_called(self, poll: select.poll) -> bool:
        """Whether anything but a look at the lock comes within one call's time."""
        return any(fd != self.copies.lock for fd, _ in poll.poll(_CALL))

    def _listen(self) -> list[str]:
        with suppress(OSError):
            words, descriptors, _, _ = socket.recv_fds(self.line, 64, _LIFELINES)
            self.lifelines += descriptors
            return words.decode().split()
        return []

    def _say(self, words: bytes) -> None:
        with suppress(OSError):
            self.line.send(words)

    def _take_over(self) -> None:
        """What came with the words is no lifeline: the lease's folder, the journal and the run directory."""
        folder, self.journal, *run = self.lifelines
        self.run = run[0] if run else None
        self.lifelines = []
        with Folder(folder, self.account.leases.folder(self.account.id)) as lease:
            log = lease.create(LOG)
        os.dup2(log, 2)
        os.close(log)
        self._say(b"entrusted")

    def _pay(self, is_owned: bool) -> None:
        if is_owned:
            _end(self.copies.owner)
            adopt(self.copies.lock)
        leftovers = self._put_back()
        self.account.close(leftovers)
        self._say(json.dumps(_short(leftovers)).encode())

    def _put_back(self) -> list[str]:
        for lifeline in self.lifelines:
            os.close(lifeline)
        if self.journal is None:
            return []  # nothing was changed yet
        try:
            with Journal(self.journal, self.account.leases.folder(self.account.id) / FILE) as journal:
                leftovers = [str(each) for each in restore(self.kernel, journal)]
                if self.run is not None:
                    keep_copy(journal, Folder(self.run, Path()))
                return leftovers
        except RefusedError as error:
            return [str(error)]


def _end(owner: int) -> None:
    """Kill the process behind this pidfd, and wait until it can do nothing any more."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(owner, signal.SIGKILL)
    gone = select.poll()
    gone.register(owner, select.POLLIN)
    gone.poll(5000)


def _short(leftovers: list[str]) -> list[str]:
    """What fits into one message."""
    return [each[:500] for each in leftovers[:50]]
