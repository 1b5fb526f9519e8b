"""Faults on the interface of the default route: what could cut a machine off is found, and only that needs a flag."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from commands import typed
from lab import run

from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.management import STUB_UPSTREAMS, resolvers
from chaoskit.knobs import Knob, Link

README = ("--to", "llm.example.com:443", "--down", "delay 80ms 20ms loss 1%")
STAGE = """\
name: aimed
question: Does it need permission?
stage: {{target: "http://10.0.0.2:8000"{keys}}}
workload: {{request-rate: 1/s}}
faults: {{slow: {fault}}}
timeline: [{{baseline: 2s}}, {{slow: 2s}}]
"""


@contextmanager
def contents(path: str, text: str, tmp_path: Path) -> Iterator[None]:
    """This file reads so; the guest's own is below."""
    source = tmp_path / path.replace("/", "-")
    source.write_text(text)
    run("mount", "--bind", str(source), path)
    try:
        yield
    finally:
        run("umount", path)


@pytest.fixture
def host(kernel: LinuxKernel, tmp_path: Path) -> Iterator[LinuxKernel]:
    """`here` is a machine with 10.0.0.1/24 and fd00::1/64 on its uplink `cable`, which leads to its gateways; the name
    server 10.0.0.53 is on the link, the other one behind the gateway; llm.example.com has addresses of both families.
    `there` is 10.0.0.2 and fd00::2."""
    for place, number in (("here", 1), ("there", 2)):
        kernel.write(Knob("link", place, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
        with kernel.inside(place):
            for address in (f"10.0.0.{number}/24", f"fd00::{number}/64"):
                run("ip", "address", "add", address, "dev", "cable", "nodad")
    with ExitStack() as stack:
        names = "127.0.0.1 localhost\n203.0.113.7 llm.example.com\n2001:db8::7 llm.example.com\n10.0.0.254 router.lan\n"
        stack.enter_context(contents("/etc/hosts", names, tmp_path))
        stack.enter_context(
            contents("/etc/resolv.conf", "nameserver 10.0.0.53\nnameserver 192.0.2.53\nnameserver fd00::53\n", tmp_path)
        )
        stack.enter_context(kernel.inside("here"))
        run("ip", "route", "add", "default", "via", "10.0.0.254")
        run("ip", "-6", "route", "add", "default", "via", "fd00::fe")
        yield kernel


@contextmanager
def ssh_server(host: LinuxKernel, port: int, comm: str, peer: str = "10.0.0.2") -> Iterator[int]:
    """A process of this name that serves one connection from `there`; gives the client's port."""
    is_v6 = ":" in peer
    version, address = (socket.AF_INET6, "fd00::1") if is_v6 else (socket.AF_INET, "10.0.0.1")
    with socket.create_server((address, port), family=version) as listener:
        pid = os.fork()
        if pid == 0:
            Path("/proc/self/comm").write_text(comm)
            connection, _ = listener.accept()
            connection.send(b"SSH-2.0-")
            signal.pause()
    try:
        with host.inside("there"), socket.socket(version) as client:
            client.bind((peer, 0))
            client.connect((address, port))
            assert client.recv(8) == b"SSH-2.0-"
            with host.inside("here"):
                yield client.getsockname()[1]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def refusal(home: Path, *words: str) -> str:
    """What a refused injection could hit, by its message; nothing was changed."""
    code, said = typed(home, "inject", *words, "--down", "delay 1ms", "--for", "9s")
    assert code == 3, said
    assert not (home / "leases").exists()
    return " ".join(said.split()).partition("could hit ")[2].partition(": a mistake")[0]


def allowed(home: Path, *words: str) -> bool:
    """Whether the injection needs no permission."""
    code, said = typed(home, "inject", *words, "--down", "delay 1ms", "--for", "1h", "--dry-run")
    assert code in (0, 3), said
    return code == 0


def test_the_line_of_the_readme_needs_no_flag(host: LinuxKernel, tmp_path: Path) -> None:
    """On a machine whose only interface carries its default routes: in force, for the time that is asked, restored."""
    del host
    before = run("tc", "-d", "qdisc") + run("ip", "-d", "link")

    code, said = typed(tmp_path / "state", "inject", *README, "--for", "1s")

    assert code == 0, said
    assert "ended and restored" in said
    assert run("tc", "-d", "qdisc") + run("ip", "-d", "link") == before
    assert allowed(tmp_path / "state", *README[:2])


def test_each_danger_is_named(host: LinuxKernel, tmp_path: Path) -> None:
    """Gateways and name servers of both IP versions, by address, name and CIDR; other ports and hosts are none."""
    home = tmp_path / "state"
    del host

    assert refusal(home, "--to", "router.lan") == "the gateway 10.0.0.254 (which is router.lan)"
    assert refusal(home, "--to", "10.0.0.53:53") == "the name server 10.0.0.53"
    assert refusal(home, "--to", "192.0.2.0/24") == "the name server 192.0.2.53"
    assert refusal(home, "--to", "fd00::/64") == "the gateway fd00::fe, the name server fd00::53"
    whole = refusal(home, "-i", "cable", "--everything")
    assert whole.startswith("every host, the gateway 10.0.0.254, the gateway fd00::fe, DHCP, DHCPv6")
    assert refusal(home, "-i", "cable", "--to", ":443").startswith("every host at port 443, the gateway")
    for words in (("--to", "10.0.0.53:8000"), ("--to", "10.0.0.2"), ("-i", "cable", "--local-port", "8000")):
        assert allowed(home, *words)


def test_a_stub_resolver_is_looked_behind(host: LinuxKernel, tmp_path: Path) -> None:
    """Where resolv.conf names this machine itself, the servers that its resolver asks count."""
    del host
    STUB_UPSTREAMS[0].parent.mkdir(parents=True)
    STUB_UPSTREAMS[0].write_text("nameserver 198.51.100.53\nnameserver fe80::53%cable\nnameserver nonsense\n")
    try:
        assert "198.51.100.53" not in resolvers()
        with contents("/etc/resolv.conf", "nameserver 127.0.0.53\n", tmp_path):
            assert resolvers() == ("198.51.100.53", "fe80::53")
            assert refusal(tmp_path / "state", "--to", "198.51.100.53") == "the name server 198.51.100.53"
    finally:
        STUB_UPSTREAMS[0].unlink()
        STUB_UPSTREAMS[0].parent.rmdir()


@pytest.mark.parametrize(
    ("port", "comm", "peer", "other"),
    [(22, "whatever", "10.0.0.2", "10.0.0.3"), (2222, "sshd-session", "fd00::2", "fd00::3")],
)
def test_ssh_sessions_are_found_by_the_kernel(
    host: LinuxKernel, tmp_path: Path, port: int, comm: str, peer: str, other: str
) -> None:
    """A connection at port 22, or of an ssh server at any port, is a danger without SSH_CONNECTION: its own host and
    port, and that port of this machine; another port of that host is none."""
    home = tmp_path / "state"
    with ssh_server(host, port, comm, peer) as peer_port:
        written = f"[{peer}]" if ":" in peer else peer

        assert refusal(home, "--to", peer) == f"an ssh session from {peer}"
        assert refusal(home, "--to", f"{written}:{peer_port}") == f"an ssh session from {peer}"
        assert f"an ssh session from {peer}, new ssh sessions, at our port {port}" in refusal(
            home, "-i", "cable", "--local-port", str(port)
        )
        for words in (("--to", f"{written}:443"), ("--to", peer, "--local-port", "8000"), ("--to", other)):
            assert allowed(home, *words)


def test_the_session_of_the_user_is_told_from_others(
    host: LinuxKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SSH_CONNECTION names is the user's own, once; a session that the kernel does not list counts as well."""
    home = tmp_path / "state"
    with ssh_server(host, 2222, "sshd") as peer_port:
        monkeypatch.setenv("SSH_CONNECTION", f"10.0.0.2 {peer_port} 10.0.0.1 2222")
        assert refusal(home, "--to", "10.0.0.2") == "your ssh session from 10.0.0.2"
        monkeypatch.setenv("SSH_CONNECTION", "10.0.0.3 50000 10.0.0.1 22")
        assert refusal(home, "--to", "10.0.0.0/29") == ("your ssh session from 10.0.0.3, an ssh session from 10.0.0.2")
        monkeypatch.setenv("SSH_CONNECTION", "who knows")
        assert refusal(home, "--to", "10.0.0.2") == "an ssh session from 10.0.0.2"


def test_a_disk_on_the_network_is_a_danger(host: LinuxKernel, tmp_path: Path) -> None:
    """A connection to an NFS or iSCSI server: losing it can hang this machine, and chaoskit's own restore."""
    home = tmp_path / "state"
    with host.inside("there"):
        server = socket.create_server(("10.0.0.2", 3260))
    with server, socket.create_connection(("10.0.0.2", 3260)):
        assert refusal(home, "--to", "10.0.0.2") == "the iSCSI server 10.0.0.2"
        assert allowed(home, "--to", "10.0.0.2:8000")


def test_an_experiment_has_the_same_rule(host: LinuxKernel, tmp_path: Path) -> None:
    """On the interface of the default route a fault on the target alone needs no permission; one on everybody, and an
    MTU, do."""
    del host
    for keys, fault, sentence in (
        ("", "{direction: down, netem: {delay: 40ms}}", ""),
        (', to: ":443"', "{direction: down, netem: {delay: 40ms}}", "could hit every host at port 443"),
        (", everything: true", "{direction: down, netem: {delay: 40ms}}", "could hit every host, the gateway"),
        ("", "{mtu: 1400}", "size-drop in place of mtu hits the selected traffic alone"),
        (", allow-management-interface: true", "{mtu: 1400}", ""),
    ):
        file = tmp_path / "x.yaml"
        file.write_text(STAGE.format(keys=keys, fault=fault))

        code, said = typed(tmp_path / "state", "plan", str(file))

        assert code == (3 if sentence else 0), said
        assert sentence in " ".join(said.split())
