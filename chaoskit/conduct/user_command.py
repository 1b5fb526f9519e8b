"""Runs a user's command in a namespace, with its own terminal, signals and exit code.

Rules: it inherits standard input, output, error and the terminal; it stays in chaoskit's process group, so that the
terminal's Ctrl-C, Ctrl-Z and window changes reach it directly; signals sent to chaoskit alone are forwarded. Chaoskit
exits with its exit code, 128 + n when signal n ended it. It is killed when chaoskit dies, for any reason. A command
with a terminal of its own has a session of its own, too.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from chaoskit import crash_report, processor_order
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.errors import ChaoskitError
from chaoskit.terminal import complain

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as in every shell
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_BY_THE_KERNEL = 0x80  # SI_KERNEL, sigaction(2): from the terminal, which signals its whole foreground process group
_POLL = 0.25  # s
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Command:
    """What to run, in which environment, and as which user; None: chaoskit's own.

    `terminal` is the descriptor of a terminal that becomes its own; None: the one that chaoskit has. Of that one a
    command that `leads` is the foreground process group, as a shell wants it, which may not see groups outside its PID
    namespace.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    caller: Caller | None = None
    terminal: int | None = None
    leads: bool = False

    @classmethod
    def with_own_environment(cls, argv: tuple[str, ...], caller: Caller | None = None) -> Command:
        """With chaoskit's environment, except for the variables that give the user."""
        return cls(argv, {**os.environ, **(caller.environment() if caller else {})}, caller)


def check_executable(argv: tuple[str, ...]) -> tuple[str, int] | None:
    """Why the command cannot be run, and the exit code for it; None when it can. Called before anything is set up."""
    found = shutil.which(argv[0])
    if found is not None:
        return None
    path = Path(argv[0])
    if path.parent != Path() and path.exists():
        return f"{argv[0]} cannot be executed: chmod +x {argv[0]}, or name its interpreter", NOT_EXECUTABLE
    if " " in argv[0] and shutil.which(argv[0].split()[0]):
        return f"there is no command {argv[0]!r}: write it without quotes, -- {shlex.join(argv[0].split())}", NOT_FOUND
    return f"there is no command {argv[0]}: check the name, or give its path", NOT_FOUND


def run(
    command: Command,
    enter: Callable[[], None],
    through: Callable[[], None] | None = None,
    look: Callable[[], None] = lambda: None,
) -> int:
    """Run it to its end, and `look` a few times each second. Returns the exit code.

    `enter` moves the child into its namespaces. `through`, where it is given, moves a process between, whose child it
    then is: a process cannot enter a PID namespace itself. An error of both goes to standard error, with exit code 3.
    """
    awaited = {signal.SIGCHLD, *_FORWARDED}
    handled = signal.signal(signal.SIGCHLD, lambda *_: None)  # an ignored signal cannot be waited for
    former = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        parent, child = os.getpid(), os.fork()
        if child == 0 and through is not None:
            _move(parent, through)
            parent, child = os.getpid(), os.fork()
            if child:
                _stand_between(command, child, awaited)
        if child == 0:
            _exec(command, parent, enter, former)
        if command.terminal is not None:
            os.close(command.terminal)
        return _wait(child, awaited, look)
    finally:
        if command.leads:
            _to_foreground()
        signal.signal(signal.SIGCHLD, handled)
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _move(parent: int, through: Callable[[], None]) -> None:
    """Move this child; it ends if it cannot."""
    code = 3
    try:
        _die_with(parent)
        through()
        return
    except (OSError, ChaoskitError) as error:
        complain(str(error))
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.print_report(error)
    os._exit(code)


def _stand_between(command: Command, child: int, awaited: set[signal.Signals]) -> NoReturn:
    """End as the child does."""
    if command.terminal is not None:
        os.close(command.terminal)
    code = 3
    try:
        code = _wait(child, awaited)
    finally:
        os._exit(code)


def _to_foreground() -> None:
    """Make the own process group that of the terminal, which gets Ctrl-C; nothing without a terminal."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # which would stop this process, tcsetpgrp(3)
    with suppress(OSError):
        os.tcsetpgrp(0, os.getpgrp())
    signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _die_with(parent: int) -> None:
    """Be killed when the parent dies, which may have happened. A parent in another PID namespace has number 0."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() not in (parent, 0):
        os._exit(3)


def _wait(child: int, awaited: set[signal.Signals], look: Callable[[], None] = lambda: None) -> int:
    """Forward signals until it has ended. Polls, because a signal may be delivered to another thread."""
    while True:
        look()
        received = signal.sigtimedwait(awaited, _POLL)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if received is None or received.si_signo == signal.SIGCHLD:
            continue
        if received.si_code != _BY_THE_KERNEL or os.getpgid(child) != os.getpgrp():
            os.kill(child, received.si_signo)


def _exec(command: Command, parent: int, enter: Callable[[], None], mask: set[int] | set[signal.Signals]) -> None:
    """Replace this child by the command; never returns."""
    code = 3
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        processor_order.in_turn()
        if command.terminal is not None:
            os.login_tty(command.terminal)  # in a session of its own
        elif command.leads:
            os.setpgid(0, 0)
            _to_foreground()
        enter()
        if command.caller is not None:
            command.caller.become()
        _die_with(parent)  # after setuid, which clears it
        for sign in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, which the command would inherit
            signal.signal(sign, signal.SIG_DFL)
        for sign in _FORWARDED:  # pending signals reach the command, not a handler here
            if callable(signal.getsignal(sign)):
                signal.signal(sign, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = NOT_EXECUTABLE
        os.execvpe(command.argv[0], command.argv, dict(command.environment))
    except (FileNotFoundError, PermissionError) as error:
        if shutil.which(command.argv[0], path=command.environment.get("PATH", os.defpath)) is None:
            code = NOT_FOUND
            complain(f"there is no command {command.argv[0]} here: check the name, or give its path")
        elif isinstance(error, PermissionError):
            complain(f"cannot run {command.argv[0]}: {error.strerror}")
        else:  # its interpreter is missing
            code = NOT_FOUND
            complain(f"{command.argv[0]} names an interpreter that does not exist: head -n 1 {command.argv[0]}")
    except (OSError, ValueError, ChaoskitError) as error:
        complain(f"cannot run {command.argv[0]}: {getattr(error, 'strerror', None) or error}")
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.print_report(error)
    finally:
        os._exit(code)
