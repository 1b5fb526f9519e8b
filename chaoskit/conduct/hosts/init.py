"""The first process of a host: starts its program, writes its log, reaps, ends everything with itself.

It is PID 1 of the host's PID namespace, forked from the conductor and nothing executed, so that it costs little. Rules:
it dies when the conductor dies, and the kernel ends the host with it; a program is never held up by its output; when
the program has ended, whatever it left is ended too.

Through a socket it gets one letter at a time, and answers each by a message:

| letter | what it does                                                                            |
|--------|-----------------------------------------------------------------------------------------|
| `t`    | SIGTERM to all processes of the host, and SIGCONT; they may end one after the other     |
| `k`    | SIGKILL to all                                                                          |
| `s`    | SIGSTOP to all                                                                          |
| `c`    | SIGCONT to all                                                                          |
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import select
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from chaoskit import crash_report, processor_order
from chaoskit.clock import now
from chaoskit.conduct.hosts import filesystem
from chaoskit.conduct.hosts.ending import runs_in_guest
from chaoskit.conduct.hosts.log import BoundedLog
from chaoskit.conduct.hosts.program import HostProgram
from chaoskit.errors import ChaoskitError, RefusedError
from chaoskit.kernel import cgroups, namespaces

TERM, KILL, STOP, CONTINUE = b"t", b"k", b"s", b"c"
PROCESSES = 500
"""Processes and threads that a host may have, where the kernel can limit them."""

_SIGNALS = {
    TERM: (signal.SIGTERM, signal.SIGCONT),
    KILL: (signal.SIGKILL,),
    STOP: (signal.SIGSTOP,),
    CONTINUE: (signal.SIGCONT,),
}
_CHUNK, _MESSAGE = 1 << 16, 4096
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38  # prctl(2)
_KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 31)
"""capabilities(7): CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
SETFCAP: those of Docker, less MKNOD, AUDIT_WRITE and SYS_CHROOT. So a program changes neither the lab nor the
machine."""

_LAST_CAPABILITY = 63
_COUNTED_APART = (5, 14)
_LOW_PORTS = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Start:
    """What a host's first process begins with: its program, its network, its log, and its end of the socket."""

    program: HostProgram
    network: int
    log: int
    link: socket.socket


def keep(start: Start, parent: int) -> NoReturn:
    """Fork the first process into a new PID namespace, and wait for its end. Runs in a child of the conductor.

    A process's children alone can be in a new PID namespace, and in a user namespace it cannot return from there.
    """
    code = 1
    try:
        _die_with_parent()
        if os.getppid() != parent:
            os._exit(code)
        os.setsid()
        for sign in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(sign, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        _limit_all(start.program.name)
        namespaces.unshare_processes()
        ended, held = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(held)
            _first_process(start, ended)
        _tell(start.link, {"first": child})
        start.link.close()
        os.waitpid(child, 0)
        code = 0
    except (OSError, ChaoskitError) as error:
        _tell(start.link, {"failed": _sentence(start.program, error)})
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        crash_report.print_report(error)
    finally:
        os._exit(code)


def _first_process(start: Start, parent: int) -> NoReturn:
    """PID 1, to its end. `parent` is a pipe that ends with its parent, which may have died before it could ask."""
    try:
        _die_with_parent()
        namespaces.enter(start.network)
        with suppress(OSError):
            _LOW_PORTS.write_text("0")
        namespaces.set_host_name(start.program.name)
        filesystem.enter(start.program)
        _Init(start).run(parent)
    except (OSError, ChaoskitError) as error:
        _tell(start.link, {"failed": _sentence(start.program, error)})
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        crash_report.print_report(error)
    finally:
        os._exit(0)


class _Init:
    """The loop of PID 1."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._log = BoundedLog(start.log)
        self._output, output = os.pipe()
        wake, self._woken = os.pipe()
        for fd in (self._output, wake, self._woken):
            os.set_blocking(fd, False)
        self._wake = wake
        self._is_stopping = False
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        self._child = _spawn(start.program, output)
        os.close(output)
        _tell(start.link, {"started": now()})

    def run(self, parent: int) -> None:
        """Until the program has ended, or the conductor."""
        link, code = self._start.link.fileno(), None
        watch = select.poll()
        for fd in (parent, link, self._output, self._wake):
            watch.register(fd, select.POLLIN)
        while True:
            for fd, _ in watch.poll():
                if fd == parent or (fd == link and not self._obey()):
                    return
                if fd == self._output and not self._copy():
                    watch.unregister(fd)
                if fd == self._wake:
                    os.read(fd, 512)
                    ended = self._reap()
                    code = ended if code is None else code
                    if code is not None and not (self._is_stopping and _has_children()):
                        self._finish(code)
                        return

    def _obey(self) -> bool:
        """Do what the letter asks; False when the conductor has gone."""
        letter = self._start.link.recv(1)
        if not letter:
            return False
        self._is_stopping |= letter == TERM
        for sign in _SIGNALS[letter]:
            _signal_all(sign)
        _tell(self._start.link, {"did": letter.decode()})
        return True

    def _copy(self) -> bool:
        """Copy some output to the log; False at its end."""
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return True
        self._log.write(data)
        return bool(data)

    def _reap(self) -> int | None:
        """The status of the program once it has ended."""
        status: int | None = None
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._child:
                    status = os.waitstatus_to_exitcode(ended[1])
        return status

    def _finish(self, code: int) -> None:
        """End what is left, write the rest of the output, and tell."""
        at, left = now(), False
        with suppress(ChildProcessError):
            left = os.waitpid(-1, os.WNOHANG)[0] == 0
            _signal_all(signal.SIGKILL)
            while True:
                os.waitpid(-1, 0)
        os.set_blocking(self._output, True)  # no writer is left, so that it ends
        while self._copy():
            pass
        self._log.finish()
        _tell(self._start.link, {"ended": code, "at": at, "left": left})


def _has_children() -> bool:
    """Whether a process of the host is left: a shell that was told to stop does not wait for its command."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _spawn(program: HostProgram, output: int) -> int:
    """Start the program. Raises RefusedError when it could not be executed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _exec(program, output)
        except OSError as error:
            os.write(writer, _sentence(program, error).encode()[:_MESSAGE])
        except ChaoskitError as error:
            os.write(writer, str(error).encode()[:_MESSAGE])
        finally:
            os._exit(127)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123  a descriptor, not a path
        failure = pipe.read().decode(errors="replace")
    if failure:
        raise RefusedError(failure)
    return child


def _exec(program: HostProgram, output: int) -> None:
    """Replace this process by the program. Raises OSError, ChaoskitError."""
    os.setsid()
    processor_order.in_turn()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.set_wakeup_fd(-1)
    for sign in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError):
            signal.signal(sign, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    confine()
    os.execvpe(program.argv[0], program.argv, dict(program.environment))


def confine() -> None:
    """Leave this process the rights of a host's program: after the next exec, and for its children. RefusedError."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if namespaces.is_in_user_namespace() and (ids := namespaces.outer_ids())[0] != 0:
        namespaces.drop_privileges(*ids)
        _limit_processes()
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in _KEPT:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL beyond the last that this kernel knows


def _limit_all(host: str) -> None:
    """Join a group of at most so many processes. In a guest alone: its control groups are nobody else's."""
    if runs_in_guest():
        with suppress(RefusedError):  # in a user namespace, and in a kernel without the controller
            group = cgroups.create(f"{host}-{os.getpid()}", PROCESSES)
            (group / "cgroup.procs").write_text("0")


def _limit_processes() -> None:
    """In a user namespace of the host's own, whose processes alone count (since Linux 5.14)."""
    release = tuple(int(number) for number in re.findall(r"[0-9]+", os.uname().release)[:2])
    if release >= _COUNTED_APART:
        resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))


def _signal_all(sign: signal.Signals) -> None:
    """To all processes of this PID namespace but this one, in one step of the kernel (kill(2))."""
    with suppress(ProcessLookupError):
        os.kill(-1, sign)


def _sentence(program: HostProgram, error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
    return f"cannot start {program.argv[0]}: {error.strerror}{where}"


def _tell(link: socket.socket, message: Mapping[str, object]) -> None:
    with suppress(OSError):  # the conductor has gone
        link.send(json.dumps(message).encode()[:_MESSAGE])


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
