"""Somebody's command in a namespace of ours, as if it had been started without us.

Rules: its standard input, output, error and its terminal are ours; it stays in our process group, so that the
terminal's Ctrl-C, Ctrl-Z and window changes reach it directly; what somebody sends to us alone is passed on. Its
exit code is ours, 128 + n when signal n ended it. It dies when we do, whatever kills us.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit import crash_report
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.errors import ChaoskitError
from chaoskit.terminal import complain

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as every shell
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_BY_THE_KERNEL = 0x80  # SI_KERNEL, sigaction(2): by the terminal, which tells its whole foreground process group
_GLANCE = 0.25  # s
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Command:
    """What to run, in which environment, and whose it is; None: ours."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    caller: Caller | None = None

    @classmethod
    def here(cls, argv: tuple[str, ...], caller: Caller | None = None) -> Command:
        """With our own environment, but for what tells who the user is."""
        return cls(argv, {**os.environ, **(caller.environment() if caller else {})}, caller)


def refusal(argv: tuple[str, ...]) -> tuple[str, int] | None:
    """Why the command cannot be run, and the exit code for it; None when it can. To be asked before all else."""
    found = shutil.which(argv[0])
    if found is not None:
        return None
    path = Path(argv[0])
    if path.parent != Path() and path.exists():
        return f"{argv[0]} cannot be executed: chmod +x {argv[0]}, or name its interpreter", NOT_EXECUTABLE
    return f"there is no command {argv[0]}: check the name, or give its path", NOT_FOUND


def run(command: Command, enter: Callable[[], None]) -> int:
    """Run it to its end; `enter` takes the child where it belongs. Returns the exit code.

    Raises what `enter` raised, as the sentence of a RefusedError would be: on standard error, with exit code 3.
    """
    watched = {signal.SIGCHLD, *_PASSED_ON}
    handled = signal.signal(signal.SIGCHLD, lambda *_: None)  # a signal that is ignored cannot be waited for
    former = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        parent, child = os.getpid(), os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(command, parent, enter, former)
        return _attend(child, watched)
    finally:
        signal.signal(signal.SIGCHLD, handled)
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _attend(child: int, watched: set[signal.Signals]) -> int:
    """Pass signals on until it has ended. A look now and then, for a signal may find another thread than this."""
    while True:
        came = signal.sigtimedwait(watched, _GLANCE)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if came is None or came.si_signo == signal.SIGCHLD:
            continue
        if came.si_code != _BY_THE_KERNEL or os.getpgid(child) != os.getpgrp():
            os.kill(child, came.si_signo)


def _become(command: Command, parent: int, enter: Callable[[], None], mask: set[int] | set[signal.Signals]) -> None:
    """Turn this child into the command; never returns."""
    code = 3
    try:
        enter()
        if command.caller is not None:
            command.caller.become()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # not before: another user's process forgets it
        if os.getppid() != parent:
            os._exit(code)
        for sign in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that would be inherited
            signal.signal(sign, signal.SIG_DFL)
        for sign in _PASSED_ON:  # what has come already is the command's, and no exception here
            if callable(signal.getsignal(sign)):
                signal.signal(sign, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = NOT_EXECUTABLE
        os.execvpe(command.argv[0], command.argv, dict(command.environment))
    except FileNotFoundError:
        code = NOT_FOUND  # its interpreter is not there
        complain(f"{command.argv[0]} names an interpreter that is not there: head -n 1 {command.argv[0]}")
    except (OSError, ValueError, ChaoskitError) as error:
        complain(f"cannot run {command.argv[0]}: {getattr(error, 'strerror', None) or error}")
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.tell(error)
    finally:
        os._exit(code)
