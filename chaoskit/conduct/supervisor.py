"""Runs the process that supervises an exec: starts pasta, ends remaining processes, restores settings.

Rules: it is forked before its parent, the conductor, enters a namespace, holds nothing of that namespace, and has its
own session, so that Ctrl-C does not reach it. When the conductor has ended, by itself or by kill -9, it ends pasta and
all processes in the namespaces it watches, restores the settings that were registered before they were changed, and
ends. If a restore may have to be done after both have died, a lease is registered too, for `chaoskit restore`. Pasta
(Debian's passt) is the only program that chaoskit runs to create a network, and this is the only module that uses it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaoskit import crash_report, programs
from chaoskit.clock import Clock, RealClock
from chaoskit.engine.lease import Leases, Process
from chaoskit.errors import EXIT_SOFTWARE, CrashError, NotRestoredError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Sysctl
from chaoskit.terminal import complain
from chaoskit.topology.egress_namespace import HOST_MAC, LINK, MAC, MTU

INSTALL = "sudo apt-get install passt, or run as root"
_POLL = 10_000_000  # ns
_PASTA_TIMEOUT = 10.0  # s
_TERM_TIMEOUT = 10**9  # ns from SIGTERM to SIGKILL
_MAX_DESCRIPTORS = 8  # in one message
_Registered = tuple[Knob, Sysctl | None, Sysctl | None]


def pasta_command(host: str, inside: str, length: int, pid: int) -> tuple[str, ...]:
    """The command line that connects the network namespace of a process, with all traffic through one link.

    Pasta's port forwarding between loopbacks (-T, -U, and -t, -u for the other direction) would bypass the fault.
    `host` is this machine as seen from inside; queries to its port 53 go to this machine's own resolver.
    """
    return (
        *("pasta", "--foreground", "--quiet", "--config-net", "--mtu", str(MTU), "--ns-ifname", LINK),
        *("--mac-addr", HOST_MAC, "--ns-mac-addr", MAC),
        *("--address", inside, "--netmask", str(length), "--gateway", host, "--dns-forward", host),
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none", str(pid)),
    )


class Supervisor:
    """The supervisor as the conductor sees it; a context manager, which ends it on exit."""

    def __init__(self) -> None:
        self._channel, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        conductor = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._channel.close()
            _run_supervisor(inner, conductor)
        inner.close()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        """Raises NotRestoredError when it could not restore something, which it reports on standard error."""
        self._channel.close()
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code == EXIT_SOFTWARE:
            raise CrashError("the supervisor process crashed, see above; everything was restored")
        if code != 0:
            raise NotRestoredError("part of the network setup was not restored, see above")

    @property
    def process(self) -> Process:
        """The supervisor's process."""
        return Process.of(self._pid)

    def watch_namespace(self, namespace: int) -> None:
        """End the processes in the network namespace with this inode after the conductor has ended."""
        self._request({"watch": namespace})

    def restore_later(self, knob: Knob, former: Sysctl | None, ours: Sysctl | None = None) -> None:
        """Restore it after the conductor has ended: to `former` if it still holds `ours`; None removes it."""
        values = {"former": former and former.value, "ours": ours and ours.value}
        self._request({"knob": [knob.kind, knob.place, knob.name], **values})

    def end_lease(self, leases: Leases, id: str) -> None:
        """End this lease after everything was restored."""
        self._request({"lease": id, "state": str(leases.state)})

    def hold(self, owner_sockets: tuple[int, ...]) -> None:
        """Keep these descriptors open, and the settings that depend on them, until everything was restored."""
        self._request({"hold": len(owner_sockets)}, owner_sockets)

    def start_pasta(self, command: tuple[str, ...]) -> None:
        """Start pasta, and return when its link exists. Raises RefusedError with its error message."""
        if programs.find(command[0]) is None:
            raise RefusedError(f"network access without root needs pasta, which is not installed: {INSTALL}")
        if error := self._request({"pasta": command}):
            raise RefusedError(f"pasta failed: {error!r}; pasta --config-net true tries it alone")

    def _request(self, request: dict[str, Any], descriptors: tuple[int, ...] = ()) -> Any:
        socket.send_fds(self._channel, [json.dumps(request).encode()], descriptors)
        return json.loads(self._channel.recv(65536) or b'""')


def _run_supervisor(channel: socket.socket, conductor: int) -> None:
    """Run the supervisor to its end; never returns."""
    watched: set[int] = set()
    registered: list[_Registered] = []
    code = 0
    lease: tuple[Leases, str] | None = None
    pasta: subprocess.Popen[bytes] | None = None
    try:
        os.setsid()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        while (received := socket.recv_fds(channel, 65536, _MAX_DESCRIPTORS))[0]:
            answer = ""  # the descriptors stay open until this process ends
            match json.loads(received[0]):
                case {"watch": inode}:
                    watched.add(inode)
                case {"lease": id, "state": state}:
                    lease = Leases(Path(state)), id
                case {"pasta": command}:
                    pasta, answer = _start_pasta(command)
                case {"knob": knob, "former": former, "ours": ours}:
                    registered.append((Knob(*knob), former and Sysctl(former), ours and Sysctl(ours)))
            channel.send(json.dumps(answer).encode())
    except BrokenPipeError:
        pass
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.print_report(error)
    try:
        with suppress(BaseException):
            _end_processes(watched, conductor, RealClock())
        if pasta is not None:
            pasta.kill()
            pasta.wait()
        failed = _restore(registered) if registered else 0
        if lease is not None and failed == 0:
            lease[0].end(lease[1])
        code = failed or code
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.print_report(error)
    finally:
        os._exit(code)


def _restore(registered: list[_Registered]) -> int:
    """Restore all, the last one first, also after a failure. Returns the exit code."""
    code = 0
    with LinuxKernel(Facts()) as kernel:
        for knob, former, ours in reversed(registered):
            try:
                found = kernel.read(knob) if former else None
                if former is None or found == ours:
                    kernel.write(knob, former)
            except RefusedError as error:
                code = NotRestoredError.exit_code
                complain(f"not restored: {error}")
    return code


def _start_pasta(command: list[str]) -> tuple[subprocess.Popen[bytes], str]:
    """Pasta, and its error message if it failed. It writes its pid into a pipe when it is ready."""
    reader, writer = os.pipe()
    pasta = subprocess.Popen(
        [*programs.tool(command[0]), "--pid", f"/proc/self/fd/{writer}", *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
    )
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], _PASTA_TIMEOUT)
    if ready and os.read(reader, 32):
        return pasta, ""
    os.close(reader)
    pasta.kill()
    assert pasta.stderr is not None
    output = pasta.stderr.read().decode(errors="replace").splitlines()
    errors = [line.strip() for line in output if line.strip() and "syslog" not in line]
    return pasta, errors[-1] if errors else f"exit code {pasta.wait()}"


def _end_processes(watched: set[int], conductor: int, clock: Clock) -> None:
    """Send SIGTERM to every process in these namespaces, and SIGKILL to those that have not ended within a second."""
    deadline = clock.now() + _TERM_TIMEOUT
    sign = signal.SIGTERM
    signalled: set[int] = set()
    while pids := processes_in(watched) - {conductor, os.getpid()}:
        for pid in pids - signalled:
            with suppress(OSError):
                _send_signal(pid, watched, sign)
        signalled |= pids
        if sign == signal.SIGTERM and clock.now() > deadline:
            sign, signalled = signal.SIGKILL, set()
        elif clock.now() > deadline + _TERM_TIMEOUT:
            return
        clock.sleep_until(clock.now() + _POLL)


def _send_signal(pid: int, watched: set[int], sign: signal.Signals) -> None:
    """Send it to this process if it is still in one of these namespaces: its number may be another's by now."""
    fd = os.pidfd_open(pid)
    try:
        if os.stat(f"/proc/{pid}/ns/net").st_ino in watched:  # noqa: PTH116  of the process that fd holds
            signal.pidfd_send_signal(fd, sign)
    finally:
        os.close(fd)


def processes_in(namespaces: set[int]) -> set[int]:
    """The processes in these network namespaces, given by their inodes, as far as they are visible to this user."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.stat(process / "ns" / "net").st_ino in namespaces and (process / "exe").readlink():  # noqa: PTH116
                found.add(int(process.name))
    return found
