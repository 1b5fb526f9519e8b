"""Programs of users on the hosts of a lab: as root, and as a user in a user namespace."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from lab import wait_for

from chaoskit.clock import RealClock
from chaoskit.conduct.hosts.host_programs import Hosts
from chaoskit.conduct.hosts.init import PROCESSES
from chaoskit.conduct.hosts.process import HostProcess
from chaoskit.conduct.hosts.program import HOME, HostProgram, Sign, environment
from chaoskit.conduct.hosts.reference import ReferenceProcess
from chaoskit.conduct.hosts.states import HostsKernel, process_state
from chaoskit.conduct.worker import Worker
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.errors import ChaoskitError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Knob, Link, Namespace, Process, Sysctl, Veth
from chaoskit.records.host_records import HostState
from chaoskit.records.jsonl import read

CLOCK = RealClock()
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOBODY = 65534
SERVER = "import socket,time; s=socket.create_server(('0.0.0.0', 8080)); print('up', flush=True); time.sleep(1000)"
NGINX = Path(sys.prefix) / "proxies/usr/sbin/nginx"


def python(code: str) -> tuple[str, ...]:
    """A command that runs this code."""
    return ("/usr/bin/python3", "-c", code)


def shell(line: str) -> tuple[str, ...]:
    """As the file has it."""
    return ("/bin/sh", "-c", line)


class Lab:
    """One host named `model`, its folder, and its run directory."""

    def __init__(self, kernel: LinuxKernel, folder: Path, run: Path) -> None:
        self.kernel, self.folder, self.run = kernel, folder, run

    def program(
        self,
        argv: tuple[str, ...],
        ready: Sign | None = None,
        env: dict[str, str] | None = None,
        stop_after: int = 2 * 10**9,
        rootfs: str | None = None,
    ) -> HostProgram:
        """A program of the host."""
        return HostProgram(
            name="model",
            argv=argv,
            directory=str(self.folder),
            environment=environment({}, env or {}, (), PATH),
            ready=ready or Sign(),
            stop_after=stop_after,
            rootfs=rootfs,
            etc_hosts="127.0.0.1 localhost\n10.3.0.1 vectors\n",
        )

    @contextmanager
    def started(self, program: HostProgram, *asked: tuple[str, int]) -> Iterator[Hosts]:
        """It runs and is ready."""
        with Hosts([(program, self.kernel.fileno("model"))], self.run, CLOCK, asked=asked) as hosts:
            hosts.start()
            yield hosts

    def output(self, line: str, **more: object) -> str:
        """What a shell line prints on the host, until it prints `the end`."""
        program = self.program(shell(f"{line}\necho the end; sleep 1000"), Sign("output", "the end"), **more)  # type: ignore[arg-type]
        with self.started(program):
            return self.log.removesuffix("the end\n")

    def refusal(self, program: HostProgram) -> str:
        """Why it cannot be started."""
        with pytest.raises(ChaoskitError) as refused, self.started(program):
            pass
        return str(refused.value)

    @property
    def log(self) -> str:
        """What the host has printed."""
        return (self.run / "hosts/model.log").read_text(errors="replace")


def lab_in(folder: Path, work: Callable[[Lab], None]) -> None:
    """Do this in a new lab."""
    with LinuxKernel(Facts()) as kernel:
        kernel.write(Knob("namespace", "", "model"), Namespace())
        kernel.write(Knob("namespace", "", "client"), Namespace())
        kernel.write(Knob("veth", "model", "eth"), Veth("client", "eth", "02:00:00:00:00:01", "02:00:00:00:00:02"))
        for place, number in (("model", 1), ("client", 2)):
            kernel.write(Knob("sysctl", place, "net.ipv6.conf.eth.accept_dad"), Sysctl("0"))
            kernel.write(Knob("link", place, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
            kernel.write(Knob("address", place, f"eth 10.3.0.{number}/24"), Address())
            kernel.write(Knob("address", place, f"eth fd03::{number}/64"), Address())
            kernel.write(Knob("link", place, "eth"), Link(up=True, mtu=1500, gso_max_segs=1))
        (folder / "run").mkdir()
        (folder / "experiment").mkdir()
        work(Lab(kernel, folder / "experiment", folder / "run"))


def as_root(folder: Path, work: Callable[[Lab], None]) -> None:
    """By root of this machine."""
    lab_in(folder, work)


def as_user(folder: Path, work: Callable[[Lab], None]) -> None:
    """By root of a user namespace, who is an ordinary user outside."""
    folder.chmod(0o755)
    for parent in folder.parents[:3]:
        with suppress(OSError):
            parent.chmod(parent.stat().st_mode | 0o055)
    os.chown(folder, NOBODY, NOBODY)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: else /proc/self stays root's
            namespaces.enter_user_namespace()
            lab_in(folder, work)
            code = 0
        except BaseException:  # noqa: BLE001  it must not go on as a second test run
            os.write(writer, traceback.format_exc().encode()[-30000:])
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123  a descriptor
        told = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0, told


BOTH = pytest.mark.parametrize("by", [as_root, as_user])
By = Callable[[Path, Callable[[Lab], None]], None]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that an ordinary user reaches."""
    folder = Path(tempfile.mkdtemp(prefix="hosts-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@BOTH
def test_a_program_runs_is_ready_and_is_stopped(place: Path, by: By) -> None:
    """It is ready when it listens, prints to its log, and no process of it is left."""

    def work(lab: Lab) -> None:
        with lab.started(lab.program(python(SERVER))) as hosts:
            first = first_process(hosts)
            assert Path(f"/proc/{first}").exists()
            hosts.check()
        assert lab.log == "up\n"
        assert not Path(f"/proc/{first}").exists()

    by(place, work)


@BOTH
def test_what_a_host_sees(place: Path, by: By) -> None:
    """Own names, own processes, own folders in memory, an environment of few variables; nothing is changed outside."""

    def work(lab: Lab) -> None:
        os.environ["LD_PRELOAD_NOT"] = "leaks"
        (lab.folder / "there.txt").write_text("mine\n")
        told = lab.output(
            "hostname; cat /etc/hosts there.txt; pwd; env | sort; ls /tmp; ls $HOME; echo /proc/[0-9]*\n"
            "echo new > new.txt; echo changed > there.txt; echo x > /tmp/of-the-host; echo y > $HOME/y; mkdir /run/z\n"
            "touch /var/log/w; mkdir -p /var/lib/of-the-host /var/cache/u; cat there.txt\n"
            "touch /usr/s /s 2>/dev/null && echo oh",
            env={"MINE": "1"},
        )

        assert told.splitlines() == [
            "model",
            "127.0.0.1 localhost",
            "10.3.0.1 vectors",
            "mine",
            str(lab.folder),
            f"HOME={HOME}",
            "LANG=C.UTF-8",
            "MINE=1",
            f"PATH={PATH}",
            f"PWD={lab.folder}",
            *([lab.folder.parent.name] if lab.folder.is_relative_to("/tmp") else []),
            "/proc/1 /proc/2",
            "changed",
        ]
        assert [path.name for path in lab.folder.iterdir()] == ["there.txt"]
        assert (lab.folder / "there.txt").read_text() == "mine\n"
        assert not Path("/var/lib/of-the-host").exists()
        assert not Path("/tmp/of-the-host").exists()

    by(place, work)


def test_unknown_names_fail_at_once(place: Path) -> None:
    """A name of the lab resolves; a name of the Internet does not, and nothing waits for it."""

    def work(lab: Lab) -> None:
        code = (
            "import socket,time; print(socket.gethostbyname('vectors')); t=time.monotonic()\n"
            "try: socket.getaddrinfo('api.openai.com', 443)\n"
            "except socket.gaierror as e: print(e.errno == socket.EAI_NONAME, time.monotonic()-t < 1)\n"
            "print('the end', flush=True); time.sleep(100)"
        )
        with lab.started(lab.program(python(code), Sign("output", "the end"))):
            assert lab.log == "10.3.0.1\nTrue True\nthe end\n"

    as_root(place, work)


def test_each_sign_of_readiness(place: Path) -> None:
    """A port, an answer to GET, a line of output: each is awaited, and the program may take its time."""
    web = (
        "import http.server,time; time.sleep(0.3)\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    n = 0\n"
        "    def do_GET(self):\n"
        "        H.n += 1; self.send_response(204 if self.path == '/ok' and H.n > 2 else 503); self.end_headers()\n"
        "http.server.HTTPServer(('', 8080), H).serve_forever()"
    )
    lines = "import time\nfor n in range(30): print('line', n, flush=True); time.sleep(0.02)\ntime.sleep(100)"

    def work(lab: Lab) -> None:
        for argv, sign, shown in (
            (python(web), Sign("tcp", "8080"), ""),
            (python(web), Sign("http", ":8080/ok"), "GET /ok"),
            (python(lines), Sign("output", "ine 25"), "line 25"),
            (python(web), Sign(), ""),
        ):
            with lab.started(lab.program(argv, sign)):
                assert shown in lab.log
            (lab.run / "hosts/model.log").unlink()

    as_root(place, work)


@pytest.mark.parametrize(
    ("argv", "ready", "said"),
    [
        (
            shell("echo one; echo two; exit 3"),
            Sign(),
            r"model ended with exit code 3 before it was ready; 2 last lines .*\n  one\n  two$",
        ),
        (
            shell("kill -SEGV $$"),
            Sign(),
            "was killed by SIGSEGV before it was ready; .*: on this machine, sudo sysctl vm.max_map_count=262144$",
        ),
        (
            shell("sh -c 'kill -ABRT $$'; exit $?"),
            Sign(),
            "ended with exit code 134, which a shell says of SIGABRT before it was ready",
        ),
        (shell("no-such-program"), Sign(), "exit code 127 .*no-such-program: not found$"),
        (shell("sleep 1000 & exit 0"), Sign(), "model put itself into the background; keep it in the foreground$"),
        (
            shell("sleep 1000"),
            Sign("tcp", "80", 10**9),
            "not ready within 1 s: .* listens on port 80; it does not listen at all$",
        ),
        (python(SERVER), Sign("tcp", "80", 4 * 10**9), "listens on port 80; it listens on 8080;"),
        (
            python(SERVER.replace("0.0.0.0", "127.0.0.1")),
            Sign(within=4 * 10**9),
            r"listens on 127.0.0.1:8080 only, so no other host reaches it; bind 0.0.0.0",
        ),
        (
            python(SERVER),
            Sign("http", ":8080/", 3 * 10**9),
            "it is ready when it answers GET :8080/; it listens on 8080",
        ),
        (shell("printf '\\033[31mred\\n'; exit 1"), Sign(), r"\n  \\x1b\[31mred$"),
        (("nginxx",), Sign(), "there is no program nginxx on its PATH; install it, or give its path$"),
        (("./gateway",), Sign(), "there is no program ./gateway; check the path, which begins at"),
        (
            ("python3 -m http.server",),
            Sign(),
            r"write run: \[python3, -m, http.server\], or run: python3 -m http.server$",
        ),
        (("./plain",), Sign(), "./plain cannot be executed; chmod"),
        (
            ("./script",),
            Sign(),
            "./script is a script for /usr/bin/pyton, which does not exist; correct its first line$",
        ),
    ],
)
def test_a_program_that_does_not_come_up(place: Path, argv: tuple[str, ...], ready: Sign, said: str) -> None:
    """One sentence says why, with its last words, and nothing is left of it."""

    def work(lab: Lab) -> None:
        (lab.folder / "plain").touch()
        (lab.folder / "script").write_text("#!/usr/bin/pyton\n")
        (lab.folder / "script").chmod(0o755)

        told = lab.refusal(lab.program(argv, ready))

        assert re.search(said, told, re.DOTALL), told

    as_root(place, work)


def test_a_target_for_itself_alone_is_told_at_the_start(place: Path) -> None:
    """Whatever the sign that it is ready by; a port on which it does not listen yet may still come."""
    alone = python(SERVER.replace("0.0.0.0", "127.0.0.1"))
    said = r"the host model listens on 127\.0\.0\.1:8080 only, so no other host reaches it; bind 0\.0\.0\.0$"

    def work(lab: Lab) -> None:
        sign = Sign("output", "up")
        with pytest.raises(RefusedError, match=said), lab.started(lab.program(alone, sign), ("model", 8080)):
            pass
        with lab.started(lab.program(alone, sign), ("model", 9090)):
            pass
        with lab.started(lab.program(python(SERVER), sign), ("model", 8080)):
            pass

    as_root(place, work)


def test_a_flood_of_output(place: Path) -> None:
    """A program that prints for ever is not held up; the log is cut, and has its last lines."""
    flood = "head -c 12000000 /dev/zero | tr '\\0' x; echo; echo the very last; exit 4"

    def work(lab: Lab) -> None:
        told = lab.refusal(lab.program(shell(flood)))

        assert told.endswith("\n  the very last")
        assert len(lab.log) < 10 * 2**20 + 5000
        assert "... cut here: the log has 10 MiB, and the program goes on ..." in lab.log

    as_root(place, work)


def test_a_program_that_ignores_sigterm(place: Path) -> None:
    """It is killed after its time, with what it has started."""
    stubborn = "trap '' TERM; sleep 1000 & while :; do sleep 0.1; done"

    def work(lab: Lab) -> None:
        program = lab.program(shell(f"echo up; {stubborn}"), Sign("output", "up"), stop_after=5 * 10**8)
        with lab.started(program) as hosts:
            first, began = first_process(hosts), 0
            began = time.monotonic_ns()
            hosts.stop()
        assert 5 * 10**8 < time.monotonic_ns() - began < 8 * 10**9
        assert not Path(f"/proc/{first}").exists()

    as_root(place, work)


def test_a_program_may_say_goodbye(place: Path) -> None:
    """SIGTERM reaches it, and what it prints then is in the log."""

    def work(lab: Lab) -> None:
        program = lab.program(
            shell("trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.1; done"), Sign("output", "up")
        )
        with lab.started(program):
            pass
        assert lab.log.endswith("\nbye\n")

    as_root(place, work)


def test_a_shells_program_may_say_goodbye(place: Path) -> None:
    """SIGTERM ends the shell of a shell line at once; its program has the time that a program has."""
    slow = "import signal, sys, time\nsignal.signal(15, lambda *_: (time.sleep(0.5), print('bye'), sys.exit()))\n"

    def work(lab: Lab) -> None:
        (lab.folder / "slow.py").write_text(f"{slow}print('up', flush=True)\ntime.sleep(1000)\n")
        program = lab.program(shell("/usr/bin/python3 slow.py; true"), Sign("output", "up"), stop_after=5 * 10**9)
        with lab.started(program) as hosts:
            began = time.monotonic_ns()
            hosts.stop()
        assert lab.log.endswith("\nbye\n")
        assert 5 * 10**8 <= time.monotonic_ns() - began < 5 * 10**9

    as_root(place, work)


@BOTH
def test_nothing_survives_the_conductor(place: Path, by: By) -> None:
    """kill -9 of the conductor ends every process of its hosts."""

    def work(lab: Lab) -> None:
        program = lab.program(shell("trap '' TERM; setsid sleep 1000 & echo up; sleep 1000"), Sign("output", "up"))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            hosts = Hosts([(program, lab.kernel.fileno("model"))], lab.run, CLOCK)
            hosts.start()
            inside = processes(first_process(hosts))
            os.write(writer, json.dumps(sorted(inside)).encode())
            time.sleep(1000)
        pids = json.loads(os.read(reader, 1000))
        assert len(pids) >= 4
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))

    by(place, work)


def first_process(hosts: Hosts) -> int:
    """PID 1 of the host, as it is called here."""
    process = hosts.members["model"]
    assert isinstance(process, HostProcess)
    assert process.first is not None
    return process.first


def processes(first: int) -> set[int]:
    """The processes of the PID namespace of this one."""
    wanted = Path(f"/proc/{first}/ns/pid").readlink()
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "ns/pid").readlink() == wanted:
                found.add(int(path.name))
    return found


def test_a_death_after_the_start(place: Path) -> None:
    """It is noticed, and told with its last words."""

    def work(lab: Lab) -> None:
        program = lab.program(shell("echo up; sleep 0.3; echo out of memory; exit 9"), Sign("output", "up"))
        with lab.started(program) as hosts:
            first = first_process(hosts)
            wait_for(lambda: not Path(f"/proc/{first}").exists())
            with pytest.raises(RefusedError, match=r"exit code 9; 2 last(.|\n)*  out of"):
                hosts.check()

    as_root(place, work)


def test_nginx(place: Path) -> None:
    """Debian's nginx runs with paths of its package; in the background it is told what to write."""
    server = "server { listen 80; location / { return 200 hello; } }"
    temps = " ".join(f"{name}_temp_path /tmp/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))

    def work(lab: Lab) -> None:
        (lab.folder / "nginx.conf").write_text(
            f"error_log stderr; events {{}} http {{ {temps} access_log off; {server} }}\n"
        )
        argv = (str(NGINX), "-c", f"{lab.folder}/nginx.conf")

        with (
            lab.started(lab.program((*argv, "-g", "daemon off;"), Sign("http", ":80/"))),
            lab.kernel.inside("model"),
            socket.create_connection(("127.0.0.1", 80)) as to,
        ):
            to.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"hello" in to.makefile("rb").read()
        told = lab.refusal(lab.program(argv))
        assert re.search("model put itself into the background; .*; for nginx: -g 'daemon off;'", told), told

    as_root(place, work)


PROGRAM = Knob("process", "model", "program")
ECHO = """
import os, signal, socket, sys, threading, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
print("up", flush=True)
while True:
    caller, _ = listener.accept()
    if os.fork() == 0:
        while data := caller.recv(100):
            caller.sendall(data)
        os._exit(0)
    caller.close()
"""


def connected(lab: Lab, address: str) -> socket.socket:
    """A connection from the client."""
    with lab.kernel.inside("client"):
        to = socket.create_connection((address, 8080), timeout=5)
    to.settimeout(0.3)
    return to


def called_from_host(lab: Lab, address: str) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection that the host has opened to the client, at this address of it."""
    with lab.kernel.inside("client"):
        listener = socket.create_server((address, 0))
    with listener:
        with lab.kernel.inside("model"):
            own = socket.create_connection(listener.getsockname(), timeout=5)
        return own, listener.accept()[0]


def echoes(to: socket.socket) -> bool:
    """Whether it answers."""
    try:
        to.sendall(b"?")
        return to.recv(100).strip(b"?") == b""
    except TimeoutError:
        return False


def answers(lab: Lab, address: str) -> bool:
    """Whether a new connection is answered. Raises ConnectionRefusedError."""
    with connected(lab, address) as to:
        return echoes(to)


def has_ended(to: socket.socket) -> bool:
    """Whether the other end closed or reset it, after what it had sent before."""
    with suppress(ConnectionError):
        while to.recv(100):
            pass
    return True


async def _echo_server(listener: socket.socket, stop: asyncio.Event) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async with await asyncio.start_server(answer, sock=listener):
        await stop.wait()


def reference(lab: Lab) -> ReferenceProcess:
    """A worker of chaoskit's own that echoes."""

    def begin() -> Worker:
        with lab.kernel.inside("model"):
            listener = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
        worker = Worker("server", lab.kernel.inside("model"), lambda stop: _echo_server(listener, stop))
        listener.close()
        return worker

    return ReferenceProcess("model", lab.kernel.fileno("model"), begin)


@BOTH
@pytest.mark.parametrize("is_reference", [False, True])
def test_the_states_of_a_host(place: Path, by: By, is_reference: bool) -> None:
    """A host pauses, is killed, refuses, each from each other state, and everything is restored through the journal."""

    def work(lab: Lab) -> None:
        network = lab.kernel.fileno("model")
        own = [] if is_reference else [(lab.program(python(ECHO)), network)]
        kernel = HostsKernel(lab.kernel, CLOCK)
        with (
            Journal.at(lab.run) as journal,
            Hosts(own, lab.run, CLOCK, [reference(lab)] if is_reference else []) as hosts,
        ):
            hosts.start()
            kernel.hosts = hosts
            assert kernel.read(PROGRAM) == Process()
            open_one, six, unused = (connected(lab, address) for address in ("10.3.0.1", "fd03::1", "10.3.0.1"))
            assert echoes(open_one)
            assert echoes(six)
            assert echoes(unused)
            own_call, far_end = called_from_host(lab, open_one.getsockname()[0])

            apply(kernel, journal, (PROGRAM, Process("paused")))
            assert {process_state(pid) for pid in hosts.members["model"].pids()} == {"T"}
            assert not echoes(open_one)
            assert not answers(lab, "10.3.0.1")  # the kernel accepts, nobody answers

            apply(kernel, journal, (PROGRAM, Process("refusing")))
            assert open_one.recv(100) == b"?"  # what was asked before is answered
            for kept in (open_one, six):
                with pytest.raises(ConnectionResetError):
                    echoes(kept)
            for address in ("10.3.0.1", "fd03::1"):
                with pytest.raises(ConnectionRefusedError):
                    answers(lab, address)
            far_end.sendall(b"x" * 10_000)  # the host's own calls go on
            assert len(own_call.recv(10_000, socket.MSG_WAITALL)) == 10_000

            apply(kernel, journal, (PROGRAM, Process("killed")))
            assert kernel.read(PROGRAM) == Process("killed")
            assert has_ended(unused)
            with pytest.raises(ConnectionRefusedError):
                answers(lab, "10.3.0.1")
            for each in (open_one, six, unused, own_call, far_end):
                each.close()
            hosts.check()

            apply(kernel, journal, (PROGRAM, Process("paused")))
            apply(kernel, journal, (PROGRAM, Process()))
            wait_for(lambda: checked(hosts, 2))
            assert answers(lab, "fd03::1")
            apply(kernel, journal, (PROGRAM, Process("killed")))
            assert restore(kernel, journal) == []
            assert kernel.read(PROGRAM) == Process()
            apply(kernel, journal, (PROGRAM, Process("paused")))
            hosts.stop()
            assert restore(kernel, journal) == []
        assert [each.state for each in read(lab.run, HostState) if each.state != "ready"] == [
            "paused", "refusing", "killed", "paused", "running", "killed", "running", "paused"
        ]  # fmt: skip

    def checked(hosts: Hosts, ready: int) -> bool:
        hosts.check()
        return [each.state for each in read(hosts.run, HostState)].count("ready") == ready

    by(place, work)


@BOTH
def test_a_paused_host_ends_with_the_conductor(place: Path, by: By) -> None:
    """kill -9 in the middle leaves no stopped process behind, of a program or of the reference server."""

    def work(lab: Lab) -> None:
        for is_reference in (False, True):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                own = [] if is_reference else [(lab.program(python(ECHO)), lab.kernel.fileno("model"))]
                hosts = Hosts(own, lab.run, CLOCK, [reference(lab)] if is_reference else [])
                hosts.start()
                kernel = HostsKernel(lab.kernel, CLOCK)
                kernel.hosts = hosts
                kernel.write(PROGRAM, Process("paused"))
                os.write(writer, json.dumps(hosts.members["model"].pids()).encode())
                time.sleep(1000)
            pids = json.loads(os.read(reader, 1000))
            assert pids
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            wait_for(lambda pids=pids: {process_state(pid) for pid in pids} == {"Z"})  # type: ignore[misc]

    by(place, work)


@BOTH
def test_a_root_file_system(place: Path, by: By) -> None:
    """Its own programs and files; the experiment's folder, names and processes as everywhere; nothing is changed."""

    def work(lab: Lab) -> None:
        root = lab.folder / "root"
        for program in ("/bin/sh", "/bin/cat", "/bin/ls", "/bin/sleep"):
            libraries = re.findall(
                r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, text=True).stdout
            )
            for file in (program, *libraries):
                (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, root / file[1:])
        for folder in ("etc", "tmp", "proc"):
            (root / folder).mkdir()
        (root / "etc/marker").write_text("inside\n")
        (lab.folder / "there.txt").write_text("mine\n")

        told = lab.output(
            "cat /etc/marker /etc/hostname there.txt; ls /; ls /tmp; echo /proc/[0-9]*\n"
            "echo x > /etc/marker; echo y > z; echo z > /dev/null && cat /etc/marker z",
            rootfs=str(root),
        )

        assert told.splitlines()[:3] == ["inside", "model", "mine"]
        assert told.splitlines()[-3:] == ["/proc/1 /proc/2", "x", "y"]
        assert "usr" not in told.splitlines() or (root / "usr").exists()
        assert (root / "etc/marker").read_text() == "inside\n"
        assert sorted(path.name for path in root.iterdir() if path.name in ("run", "var", "sys")) == []

    by(place, work)


@BOTH
def test_a_fork_bomb(place: Path, by: By) -> None:
    """It ends with its host, and the machine goes on."""
    bomb = (
        "import os,time\nprint('up', flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(100)"
    )

    def work(lab: Lab) -> None:
        if by is as_root and not (Path("/sys/fs/cgroup/cgroup.controllers")).exists():
            pytest.skip("this kernel has no pids controller")
        with lab.started(lab.program(python(bomb), Sign("output", "up"))) as hosts:
            time.sleep(3)
            first = first_process(hosts)
            assert 100 < len(processes(first)) <= PROCESSES + 1
        assert not Path(f"/proc/{first}").exists()

    by(place, work)
