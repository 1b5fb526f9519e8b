"""A command's only way out, as root and as nobody: the fault is on all of it, on nothing else, and nothing stays."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
from lab import quickest, run, state

from chaoskit.clock import RealClock
from chaoskit.conduct.exec import on_host_network
from chaoskit.conduct.sudo_caller import choose
from chaoskit.conduct.user_command import Command
from chaoskit.errors import ChaoskitError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Link, Namespace, Neighbour, Netem, RandomLoss, Sysctl, Veth
from chaoskit.topology.egress_namespace import HOST_LINK
from chaoskit.topology.steering import OneDirection

V4, V6, PORT = "192.0.2.1", "fd77::1", 8765
OUR_V4, OUR_V6 = "192.0.2.9", "fd77::9"
OUR_MAC, FAR_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
DOWN, UP = 80_000_000, 30_000_000
BOTH: dict[OneDirection, Netem] = {"down": Netem(delay=DOWN), "up": Netem(delay=UP)}
LOST = Netem(loss=RandomLoss(2**32 - 1))
HERE = "pasta" if Path("/proc/self/ns/ipc").exists() else "cable"
"""Debian's guest kernel has no NAT by nftables, and ours not the namespaces that pasta shuts itself in."""

CLOCK = RealClock()
SLACK = 40_000_000  # ns that a guest may add
TIMES = ("curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{time_connect}")
ONE_WAY = f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(("{V4}", {PORT}))
s.send(b"first"); s.recv(100)  # conntrack, pasta: each first packet takes longer
for _ in range(5):
    s.send(str(time.monotonic_ns()).encode())
    there, back = map(int, s.recv(100).split()); print(there, time.monotonic_ns() - back)
"""


@dataclass(frozen=True)
class Answer:
    """What became of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module", autouse=True)
def world() -> Iterator[LinuxKernel]:
    """An outside, behind a link that the default routes lead to: a server for TCP, and for UDP that tells times.

    Both ends know each other, so that no neighbour is learned while a test compares.
    """
    link = Knob("veth", "", "world")
    with LinuxKernel(Facts()) as kernel:
        kernel.write(Knob("namespace", "", "far"), Namespace())
        kernel.write(link, Veth("far", "far", OUR_MAC, FAR_MAC))
        for place, name, own, others, mac in (
            ("", "world", (OUR_V4, OUR_V6), (V4, V6), FAR_MAC),
            ("far", "far", (V4, V6), (OUR_V4, OUR_V6), OUR_MAC),
        ):
            kernel.write(Knob("sysctl", place, f"net.ipv6.conf.{name}.accept_dad"), Sysctl("0"))
            for address in own:
                length, *nodad = ("64", "nodad") if ":" in address else ("24",)
                with kernel.inside(place):
                    run("ip", "addr", "add", f"{address}/{length}", "dev", name, *nodad)
            kernel.write(Knob("link", place, name), Link(up=True, mtu=1500, gso_max_segs=65535))
            for other in others:
                kernel.write(Knob("neighbour", place, f"{name} {other}"), Neighbour(mac))
        run("ip", "route", "add", "default", "via", V4)
        run("ip", "-6", "route", "add", "default", "via", V6)
        servers = [_server(kernel, place) for place in ("", "far")]
        yield kernel
        for server in servers:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
        kernel.write(link, None)


def _server(kernel: LinuxKernel, place: str) -> int:
    with kernel.inside(place):
        tcp = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("", PORT))
    server = os.fork()
    if server == 0:
        with suppress(BaseException):
            _serve(tcp, udp)
        os._exit(1)
    tcp.close()
    udp.close()
    return server


def _serve(tcp: socket.socket, udp: socket.socket) -> None:
    """Answer as HTTP does over TCP; over UDP the nanoseconds since what was sent, and now."""
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        while True:
            data, sender = udp.recvfrom(100)
            now = CLOCK.now()
            udp.sendto(f"{now - int(data)} {CLOCK.now()}".encode() if data.isdigit() else data, sender)
    while True:
        caller, _ = tcp.accept()
        with caller, suppress(OSError):
            caller.recv(1000)
            caller.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello\n")


def start(
    way: str, netems: dict[OneDirection, Netem], argv: tuple[str, ...], prepare: Callable[[], None] | None = None
) -> int:
    """A process that is `chaoskit exec` by this way, as who goes it; its standard streams are ours."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        _device()
        os.environ["CHAOSKIT_STATE"] = "/run/state"
        if prepare is not None:
            prepare()
        if way == "pasta":
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: else /proc/self stays root's
        caller = choose(False, _tell)
        code = on_host_network(netems, Command.with_own_environment(argv, caller), _tell)
    except ChaoskitError as error:
        os.write(2, str(error).encode())
        code = error.exit_code
    except BaseException:  # noqa: BLE001  the child must not go on as a second test run
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _tell(sentence: str) -> None:
    os.write(2, sentence.encode())


@pytest.fixture
def through(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command with faults on one of the ways out, in a process of its own."""

    def go(
        way: str, netems: dict[OneDirection, Netem], *argv: str, prepare: Callable[[], None] | None = None
    ) -> Answer:
        capfd.readouterr()
        _, status = os.waitpid(start(way, netems, argv, prepare), 0)
        said = capfd.readouterr()
        return Answer(os.waitstatus_to_exitcode(status), said.out, said.err)

    return go


def _device() -> None:
    """Everybody may open /dev/net/tun, as on any Debian."""
    ctypes.CDLL(None).unshare(0x20000)
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", "/dev/net")
    os.mknod("/dev/net/tun", 0o20666, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666)  # noqa: PTH101


def _url(address: str) -> str:
    return f"http://[{address}]:{PORT}" if ":" in address else f"http://{address}:{PORT}"


@pytest.mark.parametrize(("way", "address"), [(HERE, V4), *([("pasta", V6)] if HERE == "pasta" else [])])
def test_a_round_trip_takes_both_delays(through: Callable[..., Answer], way: str, address: str) -> None:
    """By curl's own watch a connection takes what was asked, down and up together, and little more."""

    def connecting() -> int:
        answer = through(way, {"down": Netem(delay=DOWN), "up": Netem(delay=UP)}, *TIMES, _url(address))
        assert answer.code == 0, answer.err
        return int(float(answer.out) * 1e9)

    assert DOWN + UP <= quickest(connecting, DOWN + UP + SLACK, tries=5) < DOWN + UP + SLACK


@pytest.mark.parametrize("way", [HERE])
def test_a_delay_is_in_its_direction_alone(through: Callable[..., Answer], way: str) -> None:
    """What is slow on the way down is not on the way up, and the reverse."""
    answer = through(way, BOTH, "/usr/bin/python3", "-c", ONE_WAY)

    assert answer.code == 0, answer.err
    up, down = (min(map(int, each)) for each in zip(*(line.split() for line in answer.out.splitlines()), strict=True))
    assert UP <= up < UP + SLACK
    assert DOWN <= down < DOWN + SLACK


@pytest.mark.parametrize("way", [HERE])
@pytest.mark.parametrize("lost", ["down", "up"])
def test_there_is_no_other_way_out(through: Callable[..., Answer], way: str, lost: OneDirection) -> None:
    """When all is lost in either direction nothing is reached, over IPv4 and IPv6; the machine itself still does."""
    script = 'for url; do curl -sS -m 2 "$url"; echo $?; done'

    answer = through(way, {lost: LOST}, "sh", "-c", script, "sh", _url(V4), _url(V6))

    assert len(answer.out.split()) == 2, answer.err
    assert set(answer.out.split()) <= {"7", "28"}, answer.err
    assert [run("curl", "-sS", _url(address)) for address in (V4, V6)] == ["hello\n"] * 2


@pytest.mark.parametrize("way", [HERE])
def test_a_signal_that_ends_it_is_in_our_exit_code(through: Callable[..., Answer], way: str) -> None:
    """As a shell has it."""
    assert through(way, {"up": Netem(delay=UP)}, "sh", "-c", "kill -9 $$").code == 137


@pytest.mark.parametrize("way", [HERE])
def test_who_it_is(through: Callable[..., Answer], way: str) -> None:
    """The command is who started it; without root it has no right to take the fault away. Its exit code is ours."""
    script = "id -u; id -g; tc qdisc del dev out root && echo gone; exit 3"
    answer = through(way, {"up": Netem(delay=UP)}, "sh", "-c", script)

    mine = "0\n0\ngone\n" if way == "cable" else "65534\n65534\n"
    assert (answer.code, answer.out) == (3, mine), answer.err


@pytest.mark.parametrize("way", [HERE])
def test_what_it_leaves_running_is_ended(through: Callable[..., Answer], way: str) -> None:
    """A daemon of the command's does not outlive it, even one that has left its session and ignores SIGTERM."""
    daemon = "setsid sh -c 'trap \"\" TERM; echo $$; exec >&- 2>&-; while :; do sleep 0.1; done' &"

    answer = through(way, {"up": Netem(delay=UP)}, "sh", "-c", f"pid=$({daemon}); echo $pid")

    assert int(answer.out)
    assert not Path("/proc", answer.out.strip()).exists()


@pytest.mark.parametrize("way", [HERE])
def test_this_machine_has_an_address_inside(through: Callable[..., Answer], way: str) -> None:
    """CHAOSKIT_HOST leads to servers of this machine's own, through the fault."""
    script = f'{" ".join(TIMES[:-1])} "%{{time_connect}}" http://$CHAOSKIT_HOST:{PORT}'

    def connecting() -> int:
        answer = through(way, {"down": Netem(delay=DOWN)}, "sh", "-c", script)
        assert answer.code == 0, answer.err
        return int(float(answer.out) * 1e9)

    assert DOWN <= quickest(connecting, DOWN + SLACK, tries=5) < DOWN + SLACK


if HERE == "pasta":

    def test_names_are_resolved_by_a_resolver_on_loopback(through: Callable[..., Answer], tmp_path: Path) -> None:
        """Through pasta a stub at 127.0.0.53 answers from inside as well, through the fault; its search list stays."""
        resolver = _resolver(tmp_path)
        try:
            answer = through(
                "pasta",
                {"down": Netem(delay=DOWN)},
                *("sh", "-c", "getent ahostsv4 any.example; grep -v '^nameserver 100' /etc/resolv.conf"),
                prepare=lambda: _with_a_stub(tmp_path),
            )
        finally:
            os.kill(resolver, signal.SIGKILL)
            os.waitpid(resolver, 0)

        assert "192.0.2.99" in answer.out, answer.err
        assert answer.out.endswith("search example\n")

    def _with_a_stub(folder: Path) -> None:
        run("mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf")
        run("mount", "-t", "tmpfs", "none", "/tmp")
        tempfile.tempdir = "/tmp"

    def _resolver(folder: Path) -> int:
        """Answers every question with 192.0.2.99. Its process."""
        (folder / "resolv.conf").write_text("nameserver 127.0.0.53\nsearch example\n")
        stub = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stub.bind(("127.0.0.53", 53))
        child = os.fork()
        while child == 0:
            question, sender = stub.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes((192, 0, 2, 99))
            stub.sendto(question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:end] + answer, sender)
        stub.close()
        return child


if HERE == "cable":

    @pytest.mark.parametrize("known", [True, False])
    def test_root_asks_the_stubs_own_upstreams(through: Callable[..., Answer], tmp_path: Path, known: bool) -> None:
        """A resolver on loopback is passed over for those it asks itself; where nobody knows them, it is said."""
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
        (tmp_path / "upstreams").write_text("nameserver 192.0.2.53\n")

        def prepare() -> None:
            run("mount", "--bind", str(tmp_path / "resolv.conf"), "/etc/resolv.conf")
            if known:
                run("mount", "-t", "tmpfs", "none", "/run")
                os.makedirs("/run/systemd/resolve")  # noqa: PTH103
                Path("/run/systemd/resolve/resolv.conf").write_text("nameserver 192.0.2.53\n")

        answer = through("cable", {"up": Netem(delay=UP)}, "cat", "/etc/resolv.conf", prepare=prepare)

        assert answer.out == f"nameserver {'192.0.2.53' if known else '127.0.0.53'}\n"
        assert ("loopback" in answer.err) != known


if HERE == "pasta":

    def test_without_pasta_it_says_what_to_install(through: Callable[..., Answer]) -> None:
        """One sentence, exit code 3, and the command has not begun."""
        answer = through("pasta", {"up": Netem(delay=UP)}, "sh", "-c", "echo begun", prepare=_hide_pasta)

        assert (answer.code, answer.out) == (3, "")
        assert "apt-get install passt" in answer.err

    def _hide_pasta() -> None:
        os.environ["PATH"] = "/bin:/sbin" if not Path("/bin").is_symlink() else "/nowhere"

    def test_without_a_default_route_it_says_so(through: Callable[..., Answer]) -> None:
        """There is no way out to put a fault on."""

        def alone() -> None:
            namespaces.unshare()

        answer = through("pasta", {"up": Netem(delay=UP)}, "true", prepare=alone)

        assert answer.code == 3
        assert "no default route" in answer.err

    def test_what_pasta_says_is_passed_on(through: Callable[..., Answer]) -> None:
        """When it cannot, its own words are in the sentence."""
        answer = through("pasta", {"up": Netem(delay=UP)}, "true", prepare=lambda: os.chmod("/dev/net/tun", 0o600))  # noqa: PTH101

        assert answer.code == 3
        assert "tun" in answer.err


if HERE == "cable":

    def test_a_second_one_as_root_is_refused(through: Callable[..., Answer]) -> None:
        """While another is at work, with its link's name; the first goes on."""
        run("ip", "link", "add", HOST_LINK, "type", "dummy")
        try:
            answer = through("cable", {"up": Netem(delay=UP)}, "true")
        finally:
            run("ip", "link", "del", HOST_LINK)

        assert answer.code == 3
        assert HOST_LINK in answer.err


if HERE == "cable":

    @pytest.fixture(params=["inet somebody forth", "ip filter FORWARD"])
    def firewall(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
        """Family, table and name of a chain that drops by policy what passes, as Docker's does, behind one that does
        not concern us; both taken away again."""
        family, table, chain = request.param.split()
        shut = "{ type filter hook forward priority 0; policy drop; }"
        for each, its in (("ip6", "other"), (family, table)):
            run("nft", "add", "table", each, its)
            run("nft", "add", "chain", each, its, chain if its == table else "forth", shut)
        yield family, table, chain
        for each, its in (("ip6", "other"), (family, table)):
            run("nft", "delete", "table", each, its)

    def test_a_firewall_in_the_way_is_named(through: Callable[..., Answer], firewall: tuple[str, str, str]) -> None:
        """One sentence with table and chain, and with what its own tool takes; nothing is changed or begun before."""
        before, (family, table, chain) = looks(), firewall

        answer = through("cable", {"up": Netem(delay=UP)}, "echo", "begun")

        assert (answer.code, answer.out) == (3, "")
        assert f"the policy of chain {chain} of the table {family} {table} is to drop" in answer.err
        assert ("sudo iptables -I FORWARD -o chaos-out" in answer.err) == (table == "filter")
        assert "other" not in answer.err
        assert looks() == before

    @pytest.mark.parametrize("firewall", ["inet somebody forth"], indirect=True)
    def test_what_is_said_of_a_firewall_opens_it(
        through: Callable[..., Answer], firewall: tuple[str, str, str]
    ) -> None:
        """Typed as told the commands let it through, and it is not refused; one of the two is not enough."""
        words = ("cable", {"down": Netem(delay=DOWN)}, *TIMES, _url(V4))
        told = through(*words).err
        first, second = told.partition("or first ")[2].replace("sudo ", "").split(" && ")

        run(*first.split())
        half = through(*words)
        run(*second.split())
        answer = through(*words)

        assert half.code == 3
        assert answer.code == 0, answer.err
        assert float(answer.out) > DOWN / 1e9

    @pytest.mark.parametrize("firewall", ["inet somebody forth"], indirect=True)
    @pytest.mark.parametrize(
        ("rules", "code"),
        [
            (('iifname "chaos*" accept', 'oifname "chaos*" tcp sport 8765 counter accept'), 0),
            (("iifname chaos-out drop", "oifname chaos-out accept"), 3),
            (("iifname != chaos-out accept", "oifname chaos-out accept"), 3),
            (("iifname chaos-outer accept", "oifname chaos-out accept"), 3),
        ],
    )
    def test_rules_for_our_link_open_a_gate(
        through: Callable[..., Answer], firewall: tuple[str, str, str], rules: tuple[str, ...], code: int
    ) -> None:
        """Rules that accept it by name, or the beginning of one, and no others."""
        for rule in rules:
            run("nft", f"add rule {' '.join(firewall)} {rule}")

        answer = through("cable", {"up": Netem(delay=UP)}, *TIMES, _url(V4))

        assert answer.code == code, answer.err


if HERE == "cable":

    @pytest.fixture
    def beyond(world: LinuxKernel) -> Iterator[LinuxKernel]:
        """A second network of this machine's, which far could reach through it, if this machine let him."""
        link = Knob("veth", "", "second")
        world.write(Knob("namespace", "", "beyond"), Namespace())
        world.write(link, Veth("beyond", "beyond", OUR_MAC, FAR_MAC))
        for place, name, address in (("", "second", "198.51.100.9"), ("beyond", "beyond", "198.51.100.1")):
            with world.inside(place):
                run("ip", "addr", "add", f"{address}/24", "dev", name)
            world.write(Knob("link", place, name), Link(up=True, mtu=1500, gso_max_segs=65535))
        with world.inside("far"):
            run("ip", "route", "add", "default", "via", OUR_V4)
        yield world
        with world.inside("far"):
            run("ip", "route", "del", "default")
        world.write(link, None)
        world.write(Knob("namespace", "", "beyond"), None)

    def test_nobody_else_passes_through_this_machine(beyond: LinuxKernel) -> None:
        """While a command's packets are let through, what others send by way of this machine goes nowhere."""
        with beyond.inside("beyond"):
            target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            target.bind(("198.51.100.1", PORT))
            target.settimeout(1)
        with under_way("sh", "-c", "echo begun; sleep 987") as (_, said), target:
            assert said.readline() == b"begun\n"
            assert Path("/proc/sys/net/ipv4/conf/world/forwarding").read_text() == "1\n"

            _send(beyond, "198.51.100.1")

            with pytest.raises(TimeoutError):
                target.recv(10)

    def test_nobody_gets_in_to_the_command(beyond: LinuxKernel) -> None:
        """What it has not asked for does not reach it, over this machine's links to others; what it asks for does."""
        listen = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", {PORT})); s.settimeout(2)
s.sendto(b"first", ("{V4}", {PORT})); print(s.recv(100), flush=True)
try: print(s.recv(100))
except TimeoutError: print("nothing")
"""
        with under_way("/usr/bin/python3", "-c", listen) as (_, said):
            assert said.readline() == b"b'first'\n"

            _send(beyond, "100.64.0.2")

            assert said.readline() == b"nothing\n"

    def test_nobody_passes_while_a_kill_9_is_cleared_up(beyond: LinuxKernel) -> None:
        """The rules last as long as anything lets packets pass, although their maker is dead."""
        with beyond.inside("beyond"):
            target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            target.bind(("198.51.100.1", PORT))
            target.settimeout(1)
        forwarding = Path("/proc/sys/net/ipv4/conf/world/forwarding")
        with under_way("sh", "-c", "echo begun; sleep 987") as (ours, said), target:
            assert said.readline() == b"begun\n"
            door = _leader_below(ours)
            os.kill(door, signal.SIGSTOP)
            os.kill(ours, signal.SIGKILL)
            os.waitid(os.P_PID, ours, os.WEXITED | os.WNOWAIT)
            try:
                assert forwarding.read_text() == "1\n"
                _send(beyond, "198.51.100.1")

                with pytest.raises(TimeoutError):
                    target.recv(10)
            finally:
                os.kill(door, signal.SIGCONT)
        deadline = CLOCK.now() + 20 * 10**9
        while forwarding.read_text() != "0\n":
            assert CLOCK.now() < deadline, "it has not been put back"
            CLOCK.sleep_until(CLOCK.now() + 20_000_000)

    def _leader_below(parent: int) -> int:
        """Its child that leads a session of its own."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                pid, _, rest = path.read_text().partition(" ")
                _, its_parent, _, session = rest.rpartition(")")[2].split()[:4]
                if int(its_parent) == parent and pid == session:
                    return int(pid)
        raise AssertionError("there is no such process")

    def _send(kernel: LinuxKernel, address: str) -> None:
        """A few datagrams from far, whose way leads through this machine."""
        with kernel.inside("far"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3):
                sender.sendto(b"hello", (address, PORT))


def looks() -> str:
    """All that tells of this machine's network."""
    with LinuxKernel(Facts()) as kernel:
        told = [line for line in state(kernel, "").splitlines() if "random" not in line and "netns" not in line]
        if HERE == "cable":
            told.append(str(kernel.read(Knob("masquerade", "", "100.64.0.2"))))
    return "\n".join(line for line in told if not any(word in line for word in ("nf_conntrack_count", "expires")))


def settled(before: str) -> str:
    """How it looks when it looks as before, or after twenty seconds."""
    deadline = CLOCK.now() + 20 * 10**9
    while (now := looks()) != before and CLOCK.now() < deadline:
        CLOCK.sleep_until(CLOCK.now() + 50_000_000)
    return now


@contextmanager
def under_way(*argv: str) -> Iterator[tuple[int, BinaryIO]]:
    """A command under way: our process, and what the command says."""
    reader, writer = os.pipe()
    out = os.dup(1)
    os.dup2(writer, 1)
    try:
        ours = start(HERE, BOTH, argv)
    finally:
        os.dup2(out, 1)
        os.close(out)
        os.close(writer)
    with open(reader, "rb", buffering=0) as said:  # noqa: PTH123  a descriptor, not a path
        try:
            yield ours, said
        finally:
            with suppress(ProcessLookupError):
                os.kill(ours, signal.SIGKILL)
            os.waitpid(ours, 0)


def test_this_machine_is_as_before_byte_for_byte(through: Callable[..., Answer], tmp_path: Path) -> None:
    """Links, addresses, routes, neighbours, queues, tables, kernel parameters; and a megabyte of output came whole."""
    through(HERE, BOTH, "true")  # modules that load, tables that come with the first use
    before = looks()
    data = os.urandom(1 << 19)
    (tmp_path / "data").write_bytes(data)

    answer = through(HERE, BOTH, "od", "-An", "-v", "-tx1", prepare=lambda: os.dup2(os.open(tmp_path / "data", 0), 0))

    assert answer.code == 0, answer.err
    assert bytes.fromhex(answer.out) == data
    assert settled(before) == before


def test_signals_reach_the_command_and_all_is_put_back() -> None:
    """The command may end as it likes; its last words come."""
    before = looks()
    traps = "trap 'echo INT' INT; trap 'echo TERM' TERM; trap 'echo HUP; exit 6' HUP"
    with under_way("sh", "-c", f"{traps}; echo begun; while :; do sleep 0.05; done") as (ours, said):
        assert said.readline() == b"begun\n"

        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(ours, sign)

            assert said.readline() == f"{sign.name.removeprefix('SIG')}\n".encode()
        assert said.readline() == b""
    assert settled(before) == before


@pytest.mark.parametrize("after", [400, None])
def test_a_kill_9_leaves_nothing(after: int | None) -> None:
    """At whatever moment, in ms: the command and all of its own end, pasta too, and this machine is as before."""
    before = looks()
    with under_way("sh", "-c", "setsid sleep 987 & echo begun; sleep 987") as (ours, said):
        if after is None:
            assert said.readline() == b"begun\n"
        else:
            CLOCK.sleep_until(CLOCK.now() + after * 1_000_000)

        os.kill(ours, signal.SIGKILL)

    assert settled(before) == before
    assert _left() == []


def _left() -> list[str]:
    """Processes of the killed command's, and pasta, after twenty seconds if need be."""
    deadline = CLOCK.now() + 20 * 10**9
    while True:
        found = [
            process.name
            for process in Path("/proc").glob("[0-9]*")
            if {b"987", b"pasta"} & set(_words(process).split(b"\0"))
        ]
        if not found or CLOCK.now() > deadline:
            return found
        CLOCK.sleep_until(CLOCK.now() + 50_000_000)


def _words(process: Path) -> bytes:
    """A process' command line; nothing when it has ended meanwhile."""
    with suppress(OSError):
        return (process / "cmdline").read_bytes()
    return b""
