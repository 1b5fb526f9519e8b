"""Forks the server and the probe of a run into their namespaces, after all imports.

Rules: a worker dies with the conductor, whatever kills that (PDEATHSIG); the conductor handles Ctrl-C, a worker ends on
SIGTERM; an error in a worker is raised again in the conductor, with the same class and exit code.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager

from chaoskit import crash_report, loop_signals, processor_order
from chaoskit.clock import Clock
from chaoskit.errors import EXIT_SOFTWARE, ChaoskitError, CrashError, NotRestoredError, RefusedError, SpecError
from chaoskit.probe.transport import event_loop

_PR_SET_PDEATHSIG = 1
_MAX_ERROR = 4096  # bytes of an error message, which is read after the child's end: a pipe holds more
_KILL_TIMEOUT = 10 * 10**9  # ns from SIGKILL to the end of a process, on a busy machine
_ERRORS: dict[int, type[ChaoskitError]] = {
    error.exit_code: error for error in (SpecError, RefusedError, NotRestoredError, CrashError)
}
Work = Callable[[asyncio.Event], Coroutine[None, None, None]]


class Worker:
    """A forked process that runs one coroutine to its end, or until it is told to stop."""

    def __init__(self, name: str, inside: AbstractContextManager[None], work: Work) -> None:
        self.name = name
        self._error_pipe, write = os.pipe()
        bound, binding = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._error_pipe)
            os.close(bound)
            _run_child(parent, inside, work, write, binding)
        os.close(write)
        os.close(binding)
        os.read(bound, 1)  # its end: from now on it dies with this process, even while it is stopped
        os.close(bound)
        self._status: int | None = None

    @property
    def is_alive(self) -> bool:
        """False when it has ended without error. Raises its error; RefusedError when it was killed."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return True
            self._status = os.waitstatus_to_exitcode(status)
        if self._status != 0:
            raise self._error()
        return False

    @property
    def killed_by(self) -> signal.Signals | None:
        """The signal that ended it; None: it has not ended, or by itself."""
        return signal.Signals(-self._status) if self._status is not None and self._status < 0 else None

    def send(self, sign: signal.Signals) -> None:
        """Send it a signal if it has not ended, and do not wait."""
        if self._status is None:
            os.kill(self.pid, sign)

    def stop(self, clock: Clock, patience: int = 3 * 10**9) -> None:
        """Send SIGTERM, wait up to `patience` ns, then send SIGKILL and wait again. Never raises."""
        for sign, span in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILL_TIMEOUT)):
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

    def _error(self) -> ChaoskitError:
        """Its error in its own words; after a crash or a kill, which process it was."""
        with open(self._error_pipe, "rb", closefd=False) as pipe:
            message = pipe.read().decode(errors="replace").strip()
        assert self._status is not None
        error = _ERRORS.get(self._status, RefusedError)
        if message and error is not CrashError:
            return error(message)
        killed = f"killed by {signal.Signals(-self._status).name}" if self._status < 0 else f"exit code {self._status}"
        return error(f"the {self.name} ended early: {message or killed}")


def _run_child(parent: int, inside: AbstractContextManager[None], work: Work, error_pipe: int, binding: int) -> None:
    """Run the child to its end; never returns. Closes `binding` when it dies with its parent."""
    code = EXIT_SOFTWARE
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(code)
        os.close(binding)
        processor_order.in_turn()
        for sign in (signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with inside:
            event_loop.run(_until_stopped(work))
        code = 0
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = _send_error(crash_report.underlying_error(error), error_pipe)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _send_error(error: BaseException, error_pipe: int) -> int:
    """Send the error to the conductor. Returns the exit code."""
    if isinstance(error, ChaoskitError):
        _write(error_pipe, str(error))
        return error.exit_code
    _write(error_pipe, crash_report.summary(error))
    return crash_report.print_report(error)


def _write(error_pipe: int, sentence: str) -> None:
    os.write(error_pipe, sentence.encode(errors="backslashreplace")[:_MAX_ERROR])


async def _until_stopped(work: Work) -> None:
    stop = asyncio.Event()
    with loop_signals.handled((signal.SIGTERM,), lambda _: stop.set()):
        await work(stop)
