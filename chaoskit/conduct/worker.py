"""The server and the probe of a run: forked when imports have been paid, each inside its namespace.

Rules: a child dies with the conductor, whatever kills that (PDEATHSIG); Ctrl-C is the conductor's affair,
a child ends by SIGTERM; what a child could not do comes back as the conductor's own error, with the exit code that
says whose fault it was.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager

from chaoskit import crash_report
from chaoskit.clock import Clock
from chaoskit.conduct import event_loop
from chaoskit.errors import EXIT_SOFTWARE, ChaoskitError, CrashError, NotRestoredError, RefusedError, SpecError

_PR_SET_PDEATHSIG = 1
_LONGEST = 4096  # bytes of a complaint, which nobody reads before the child's end: a pipe holds more
_DYING = 10 * 10**9  # ns that a killed process may take on a busy machine
_FAULTS: dict[int, type[ChaoskitError]] = {
    fault.exit_code: fault for fault in (SpecError, RefusedError, NotRestoredError, CrashError)
}
Work = Callable[[asyncio.Event], Coroutine[None, None, None]]


class Worker:
    """A forked process that runs one coroutine to its end, or until it is told to stop."""

    def __init__(self, name: str, inside: AbstractContextManager[None], work: Work) -> None:
        self.name = name
        self._complaint, write = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._complaint)
            _live(parent, inside, work, write)
        os.close(write)
        self._status: int | None = None

    @property
    def is_alive(self) -> bool:
        """False when it has ended well. Raises what it raised; RefusedError when it was killed."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return True
            self._status = os.waitstatus_to_exitcode(status)
        if self._status != 0:
            raise _FAULTS.get(self._status, RefusedError)(f"the {self.name} ended early: {self._why()}")
        return False

    def stop(self, clock: Clock, patience: int = 3 * 10**9) -> None:
        """Ask it to end, wait up to `patience` ns, then make it, and wait for that. Never raises."""
        for sign, span in ((signal.SIGTERM, patience), (signal.SIGKILL, _DYING)):
            if self._status is not None:
                return
            os.kill(self.pid, sign)
            deadline = clock.now() + span
            while self._status is None and clock.now() < deadline:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._status = os.waitstatus_to_exitcode(status)
                else:
                    clock.sleep_until(clock.now() + 5_000_000)

    def _why(self) -> str:
        with open(self._complaint, "rb", closefd=False) as pipe:
            words = pipe.read().decode(errors="replace").strip()
        if words:
            return words
        assert self._status is not None
        return f"killed by {signal.Signals(-self._status).name}" if self._status < 0 else f"exit code {self._status}"


def _live(parent: int, inside: AbstractContextManager[None], work: Work, complaint: int) -> None:
    """The child's whole life; never returns."""
    code = EXIT_SOFTWARE
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(code)
        for sign in (signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with inside:
            event_loop.run(_until_stopped(work))
        code = 0
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = _fail(crash_report.fault_of(error), complaint)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _fail(fault: BaseException, complaint: int) -> int:
    """Tell the conductor whose fault it was. Returns the exit code."""
    if isinstance(fault, ChaoskitError):
        _say(complaint, str(fault))
        return fault.exit_code
    _say(complaint, crash_report.summary(fault))
    return crash_report.tell(fault)


def _say(complaint: int, sentence: str) -> None:
    os.write(complaint, sentence.encode(errors="backslashreplace")[:_LONGEST])


async def _until_stopped(work: Work) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await work(stop)
