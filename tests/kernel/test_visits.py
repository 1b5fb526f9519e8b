"""Commands, shells and ports in a service lab in this kernel: as root, and as a user in a user namespace."""

from __future__ import annotations

import ctypes
import os
import re
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab import wait_for

import chaoskit.cli.shell_command
import chaoskit.cli.up_command
import chaoskit.conduct.exec
import chaoskit.conduct.up
import chaoskit.substrate.exec  # noqa: F401  imported once, for all forks
from chaoskit.cli.main import main
from chaoskit.clock import RealClock
from chaoskit.conduct.supervisor import processes_in
from chaoskit.substrate.terminal_relay import new_terminal

CLOCK = RealClock()
NOBODY = 65534
SERVER = """
import os, socket, struct
listening = socket.create_server(("0.0.0.0", 8080))
while True:
    caller, _ = listening.accept()
    asked = caller.recv(1000)
    if b"/reset" in asked:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        caller.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + os.environ["COLOUR"].encode())
    if b"/die" in asked:
        raise SystemExit("oh no")
    caller.close()
"""
FILE = """\
name: chain
question: Does it answer?
stage:
  lab: service
  hosts:
    gateway: {run: [/usr/bin/python3, server.py], ready: {tcp: 8080}, env: {COLOUR: green}}
    model: {reference: true}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 2/s}
faults:
  slow: {between: [client, gateway], direction: to-client, netem: {delay: 300ms}}
  stops: {host: gateway, process: killed}
timeline: [{baseline: 10s}, {slow: 10s}, {stops: 1s}]
"""
WHERE = "hostname; pwd; echo $COLOUR; grep CapBnd /proc/self/status; tr '\\0' ' ' < /proc/2/cmdline; exit 5"
SYS_ADMIN = 21  # capabilities(7)
ASK = (
    "import socket; s=socket.create_connection(('gateway', 8080)); s.send(b'GET {}'); print(s.recv(1000)[-5:].decode())"
)


@dataclass
class Typed:
    """A command as a person types it, in a fork of this process, by root or by nobody."""

    pid: int
    out: Path
    err: Path

    def ended(self) -> tuple[int, str, str]:
        """Its exit code, its output, what it said on standard error."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code, self.out.read_text(), self.err.read_text()


@dataclass(frozen=True)
class Person:
    """Who types, and in which folder."""

    folder: Path
    is_root: bool

    def types(self, *words: str) -> Typed:
        """Start it."""
        typed = Typed(0, self.folder / "out", self.folder / "err")
        typed.out.write_text("")
        typed.err.write_text("")
        typed.pid = os.fork()
        if typed.pid == 0:
            for path, fd in ((Path("/dev/null"), 0), (typed.out, 1), (typed.err, 2)):
                os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), fd)
            self.become(*words)
        return typed

    def become(self, *words: str) -> None:
        """Be the program, in this child; never returns."""
        code = 1
        try:
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode) for fd, mode in ((0, "r"), (1, "w"), (2, "w")))
            os.chdir(self.folder)
            os.environ.update({"TMPDIR": str(self.folder / "tmp"), "SHELL": "/bin/sh", "TERM": "dumb"})
            tempfile.tempdir = None
            if not self.is_root:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: else /proc/self stays root's
            sys.argv = ["chaoskit", *words]
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException:  # noqa: BLE001  the child must not go on as a second test run
            traceback.print_exc()
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def executes(self, *words: str) -> tuple[int, str, str]:
        """`chaoskit exec`, in this kernel, to its end."""
        return self.types("exec", "chain.yaml", "--substrate", "here", *words).ended()


@pytest.fixture(params=["root", "nobody"])
def person(request: pytest.FixtureRequest) -> Iterator[Person]:
    """With a service lab; afterwards nothing is left of it."""
    folder = Path(tempfile.mkdtemp(prefix="visits-", dir="/run"))
    (folder / "tmp").mkdir()
    (folder / "chain.yaml").write_text(FILE)
    (folder / "server.py").write_text(SERVER)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
        if request.param == "nobody":
            os.chown(path, NOBODY, NOBODY)
    yield Person(folder, request.param == "root")
    assert list((folder / "tmp").iterdir()) == []
    shutil.rmtree(folder)


def test_a_command_on_a_host_has_what_its_program_has(person: Person) -> None:
    """Its name, folder, environment and processes, no right to change the lab; the exit code is the command's."""
    code, out, err = person.executes("--host", "gateway", "--", "sh", "-c", WHERE)

    assert code == 5, err
    name, folder, colour, bounding, first = out.splitlines()
    assert (name, folder, colour) == ("gateway", str(person.folder), "green")
    assert int(bounding.split()[1], 16) >> SYS_ADMIN & 1 == 0
    assert first == "/usr/bin/python3 server.py "


def test_a_command_on_a_router_sees_its_links(person: Person) -> None:
    """A router has no program, and a network of its own."""
    code, out, err = person.executes("--host", "fabric", "--", "ls", "/sys/class/net", "/proc/sys/net/ipv4/conf")

    assert code == 0, err
    assert {"to-gateway", "to-model"} <= set(out.split())


def test_a_command_that_the_host_does_not_have(person: Person) -> None:
    """It is 127, as in every shell, and says so."""
    code, _, err = person.executes("--host", "gateway", "--", "no-such-program")

    assert code == 127
    assert "there is no command no-such-program here" in err


def test_a_host_whose_program_a_fault_has_killed(person: Person) -> None:
    """Nothing is there to enter."""
    code, _, err = person.executes("--host", "gateway", "--fault", "stops", "--", "true")

    assert code == 3
    assert "no program runs on the host gateway" in err


def test_names_of_the_client(person: Person) -> None:
    """Those of the lab are found, an unknown one is known to be unknown at once: no name server is asked."""
    begin = CLOCK.now()
    code, out, err = person.executes(
        "--", "sh", "-c", "getent ahostsv4 gateway model; getent hosts nowhere.example; echo $?; cat /etc/resolv.conf"
    )

    assert code == 0, err
    assert {"10.2.0.1", "10.3.0.1"} <= set(out.split())
    assert "\n2\n# There is no name server in a lab" in out
    assert CLOCK.now() - begin < 60 * 10**9


def test_a_host_that_dies_during_a_command(person: Person) -> None:
    """Its last words come on standard error, the command goes on, and --out keeps the log."""
    line = f'/usr/bin/python3 -c "{ASK.format("/die")}"; sleep 1; echo still here'
    code, out, err = person.executes("--out", "kept", "--", "sh", "-c", line)

    assert code == 0, err
    assert out == "green\nstill here\n"
    assert "the host gateway ended with exit code 1; 1 last line of hosts/gateway.log:\n  oh no" in err
    assert (person.folder / "kept/hosts/gateway.log").read_text() == "oh no\n"


def ask(port: int, path: str = "/") -> bytes:
    """What the port of this machine answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
        caller.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        said = b""
        while data := caller.recv(1000):
            said += data
        return said


def local_port(typed: Typed) -> int:
    """The first that is published, when the lab stands."""
    wait_for(lambda: "Ctrl-C ends it" in typed.out.read_text() or os.waitpid(typed.pid, os.WNOHANG)[0] != 0)
    assert "Ctrl-C ends it" in typed.out.read_text(), typed.err.read_text()
    found = re.search(r"^http://127\.0\.0\.1:(\d+) -> gateway:8080$", typed.out.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_a_standing_lab_is_reached_through_its_client(person: Person) -> None:
    """Behind the fault; a reset is passed on; after Ctrl-C the port is free and no process is left."""
    typed = person.types("up", "chain.yaml", "--fault", "slow")
    port = local_port(typed)

    begin = CLOCK.now()
    assert ask(port).endswith(b"green")
    assert CLOCK.now() - begin > 600_000_000  # the handshake's answer and the response
    with pytest.raises(ConnectionResetError):
        ask(port, "/reset")
    children = Path(f"/proc/{typed.pid}/task/{typed.pid}/children").read_text().split()
    spaces = {Path(f"/proc/{child}/ns/net").stat().st_ino for child in children}
    spaces.discard(Path("/proc/self/ns/net").stat().st_ino)
    os.kill(typed.pid, signal.SIGINT)
    code, out, err = typed.ended()

    assert code == 130
    assert err.splitlines()[0].startswith("chaoskit: fault slow")
    assert "ready: /usr/bin/python3 server.py" in out
    assert spaces
    assert processes_in(spaces) == set()
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_a_host_that_dies_in_a_standing_lab(person: Person) -> None:
    """It is told with its last words, the rest stands, and callers of its port are refused as they are inside."""
    typed = person.types("up", "chain.yaml", "--publish", "gateway:8080", "--out", "kept")
    port = local_port(typed)

    ask(port, "/die")
    wait_for(lambda: "the host gateway ended with exit code 1" in typed.err.read_text())
    with pytest.raises(ConnectionResetError):
        ask(port)
    os.kill(typed.pid, signal.SIGTERM)

    assert typed.ended()[0] == 143
    assert "oh no" in (person.folder / "kept/hosts/gateway.log").read_text()


def test_a_shell_at_a_terminal(person: Person) -> None:
    """It is on the host, its prompt says so, and Ctrl-C ends its command and not the shell."""
    terminal, inner = new_terminal()
    child = os.fork()
    if child == 0:
        os.login_tty(inner)
        person.become("shell", "chain.yaml", "--substrate", "here", "--host", "gateway")
    os.close(inner)
    screen = Screen(terminal)

    screen.until("(gateway) $ ")
    screen.types("echo begun; sleep 1000\n", "\nbegun")
    screen.types("\x03", "(gateway) $ ")
    screen.types("hostname; exit 7\n", "\r\ngateway\r\n")
    with suppress(OSError):  # EIO, at its end
        while os.read(terminal, 1000):
            pass

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert "a shell on gateway of chain; it has client, edge, fabric, gateway, model" in screen.said


class Screen:
    """What a terminal shows."""

    def __init__(self, terminal: int) -> None:
        self.said, self._terminal, self._seen = "", terminal, 0

    def until(self, text: str) -> None:
        """Wait for this after what was seen."""
        deadline = CLOCK.now() + 60 * 10**9
        while text not in self.said[self._seen :]:
            assert CLOCK.now() < deadline, self.said
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.said += os.read(self._terminal, 1000).decode(errors="replace")
        self._seen = self.said.index(text, self._seen) + len(text)

    def types(self, keys: str, text: str) -> None:
        """Press these, and wait for that."""
        os.write(self._terminal, keys.encode())
        self.until(text)
