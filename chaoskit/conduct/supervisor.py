"""A process that stays outside while a command is inside: it starts pasta, ends whoever is left, and puts back.

Rules: it is forked before we enter anything, holds nothing of the namespace, and lives in a session of its own, so
that no Ctrl-C reaches it. When the conductor has gone, well or by kill -9, it ends pasta and everybody who is still
in the namespaces that it was told of, puts back what it was told of before it was set, and ends itself. Who gives
it debts that could outlive them both names a lease too, for `chaoskit restore`. Pasta (Debian's passt) is the one
program that chaoskit runs to make a network, and this is the one module that knows it.
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
_LOOK = 10_000_000  # ns
_READY = 10.0  # s
_PATIENCE = 10**9  # ns that somebody may take to end by SIGTERM
_LIFELINES = 8  # descriptors that may come at once
_Debt = tuple[Knob, Sysctl | None, Sysctl | None]


def pasta_line(host: str, inside: str, length: int, pid: int) -> tuple[str, ...]:
    """The words that connect the network namespace of a process: all through its link, nothing past it.

    Pasta's own short cuts between loopbacks (-T, -U, and -t, -u for the other direction) would go around the fault.
    `host` is this machine as seen from inside; queries to its port 53 go to this machine's own resolver.
    """
    return (
        *("pasta", "--foreground", "--quiet", "--config-net", "--mtu", str(MTU), "--ns-ifname", LINK),
        *("--mac-addr", HOST_MAC, "--ns-mac-addr", MAC),
        *("--address", inside, "--netmask", str(length), "--gateway", host, "--dns-forward", host),
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none", str(pid)),
    )


class Supervisor:
    """The process, as its conductor sees it; a context manager, whose end is the doorkeeper's."""

    def __init__(self) -> None:
        self._door, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        conductor = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._door.close()
            _keep(inner, conductor)
        inner.close()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        """Raises NotRestoredError when it could not put back something; it has said on standard error what."""
        self._door.close()
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code == EXIT_SOFTWARE:
            raise CrashError("a mistake in chaoskit ended the doorkeeper, see above; all was put back")
        if code != 0:
            raise NotRestoredError("something of the way out was not put back, see above")

    @property
    def process(self) -> Process:
        """Who it is."""
        return Process.of(self._pid)

    def watch(self, namespace: int) -> None:
        """Whoever is in the network namespace with this inode when we have gone, is ended."""
        self._ask({"watch": namespace})

    def owe(self, knob: Knob, former: Sysctl | None, ours: Sysctl | None = None) -> None:
        """Put it back when we have gone: to a value where it still holds `ours`, or out of the way (None)."""
        values = {"former": former and former.value, "ours": ours and ours.value}
        self._ask({"knob": [knob.kind, knob.place, knob.name], **values})

    def remember(self, leases: Leases, id: str) -> None:
        """This lease is ended when all that we owe has been put back."""
        self._ask({"lease": id, "state": str(leases.state)})

    def hold(self, lifelines: tuple[int, ...]) -> None:
        """What hangs on these descriptors lasts until all that is owed has been put back."""
        self._ask({"hold": len(lifelines)}, lifelines)

    def connect(self, line: tuple[str, ...]) -> None:
        """Start pasta, and return when its link is there. Raises RefusedError where that cannot be, with its words."""
        if programs.find(line[0]) is None:
            raise RefusedError(f"a way out without root needs pasta, which is not here: {INSTALL}")
        if words := self._ask({"pasta": line}):
            raise RefusedError(f"pasta brought no way out, it says {words!r}: pasta --config-net true, to try it alone")

    def _ask(self, question: dict[str, Any], descriptors: tuple[int, ...] = ()) -> Any:
        socket.send_fds(self._door, [json.dumps(question).encode()], descriptors)
        return json.loads(self._door.recv(65536) or b'""')


def _keep(door: socket.socket, conductor: int) -> None:
    """The doorkeeper's whole life; never returns."""
    watched: set[int] = set()
    debts: list[_Debt] = []
    code = 0
    lease: tuple[Leases, str] | None = None
    pasta: subprocess.Popen[bytes] | None = None
    try:
        os.setsid()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        while (received := socket.recv_fds(door, 65536, _LIFELINES))[0]:
            asked, answer = received[0], ""  # the descriptors stay open until we end
            match json.loads(asked):
                case {"watch": inode}:
                    watched.add(inode)
                case {"lease": id, "state": state}:
                    lease = Leases(Path(state)), id
                case {"pasta": line}:
                    pasta, answer = _start(line)
                case {"knob": knob, "former": former, "ours": ours}:
                    debts.append((Knob(*knob), former and Sysctl(former), ours and Sysctl(ours)))
            door.send(json.dumps(answer).encode())
    except BrokenPipeError:
        pass
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.tell(error)
    try:
        with suppress(BaseException):
            _end(watched, conductor, RealClock())
        if pasta is not None:
            pasta.kill()
            pasta.wait()
        left = _put_back(debts) if debts else 0
        if lease is not None and left == 0:
            lease[0].end(lease[1])
        code = left or code
    except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
        code = crash_report.tell(error)
    finally:
        os._exit(code)


def _put_back(debts: list[_Debt]) -> int:
    """Pay all, the last one first, whatever fails. The exit code."""
    code = 0
    with LinuxKernel(Facts()) as kernel:
        for knob, former, ours in reversed(debts):
            try:
                found = kernel.read(knob) if former else None
                if former is None or found == ours:
                    kernel.write(knob, former)
            except RefusedError as error:
                code = NotRestoredError.exit_code
                complain(f"not put back: {error}")
    return code


def _start(line: list[str]) -> tuple[subprocess.Popen[bytes], str]:
    """Pasta, and what it said if it has failed. It writes its number when all is ready, into a pipe of ours."""
    reader, writer = os.pipe()
    pasta = subprocess.Popen(
        [*programs.tool(line[0]), "--pid", f"/proc/self/fd/{writer}", *line[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
    )
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], _READY)
    if ready and os.read(reader, 32):
        return pasta, ""
    os.close(reader)
    pasta.kill()
    assert pasta.stderr is not None
    said = pasta.stderr.read().decode(errors="replace").splitlines()
    words = [line.strip() for line in said if line.strip() and "syslog" not in line]
    return pasta, words[-1] if words else f"exit code {pasta.wait()}"


def _end(watched: set[int], conductor: int, clock: Clock) -> None:
    """Ask everybody in these namespaces to end, and make whoever has not within a second."""
    deadline = clock.now() + _PATIENCE
    sign = signal.SIGTERM
    asked: set[int] = set()
    while people := inhabitants(watched) - {conductor, os.getpid()}:
        for pid in people - asked:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)
        asked |= people
        if sign == signal.SIGTERM and clock.now() > deadline:
            sign, asked = signal.SIGKILL, set()
        elif clock.now() > deadline + _PATIENCE:
            return
        clock.sleep_until(clock.now() + _LOOK)


def inhabitants(namespaces: set[int]) -> set[int]:
    """The processes in these network namespaces, given by their inodes, as far as we may look."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.stat(process / "ns" / "net").st_ino in namespaces and (process / "exe").readlink():  # noqa: PTH116
                found.add(int(process.name))
    return found
