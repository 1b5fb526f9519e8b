"""Tests host tuning in a lab: iproute2 shows it, real connections use it, and it is removed afterwards."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from edge_lab import SERVER_V4, SERVER_V6
from lab import run

from chaoskit.clock import RealClock
from chaoskit.conduct.lab_hosts import hosts_of
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.probes import target_of
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.probe.transport.socket_options import set_options
from chaoskit.records import tcp_info
from chaoskit.spec.load import parse

FILE = """\
name: tuned
question: Does it help?
stage: {{lab: edge, ip: {ip}}}
workload: {{request-rate: 2/s}}
{tuned}
timeline: [{{baseline: 2s}}]
"""
PORT = 8000
# what is tuned, the IP version, and the payload of the client's and of the server's segments: 12 bytes are timestamps
SIZES = [
    ("", "6", 1428, 1428),
    ("client: {maxseg: 1000}", "4", 988, 988),
    ("server: {maxseg: 1000}", "6", 988, 988),
    ("client: {advmss: 1000}\nserver: {advmss: 1200}", "4", 1188, 988),
    ("client: {advmss: 1000}", "6", 1428, 988),
    ("client: {route-mtu: 1300}", "4", 1248, 1248),
    ("server: {route-mtu: 1300}", "6", 1228, 1228),
    ("client: {sysctl: {net.ipv4.tcp_mtu_probing: 2, net.ipv4.tcp_base_mss: 900}}", "4", 900, 1448),
]


@dataclass(frozen=True)
class Seen:
    """A connection of the lab: each end's segment size, and what ss shows of each end."""

    client: int
    server: int
    client_ss: str
    server_ss: str


def plan(tuned: str, ip: str = "4") -> Plan:
    """The plan of a lab with these host options."""
    return compile_plan(parse(FILE.format(tuned=tuned, ip=ip), "x.yaml"))


@contextmanager
def in_force(kernel: LinuxKernel, run_directory: Path, tuned: str) -> Iterator[None]:
    """The changes of that plan's stage beyond the plain lab, applied and restored by the engine."""
    changes = [(change.knob, change.setting) for change in plan(tuned).stage][len(plan("").stage) :]
    former = [kernel.read(knob) for knob, _ in changes]
    with Journal.at(run_directory) as journal:
        try:
            for change in changes:
                apply(kernel, journal, change)
            yield
        finally:
            assert restore(kernel, journal) == []
    assert [kernel.read(knob) for knob, _ in changes] == former


def connection(kernel: LinuxKernel, compiled: Plan) -> Seen:
    """What the probe's socket and the lab's server see of each other, as the conductor creates them."""
    version = 6 if "[" in compiled.target else 4
    with TemporaryDirectory() as folder, hosts_of(LabSetup.of(compiled), kernel, Path(folder), RealClock()) as hosts:
        hosts.start()
        with kernel.inside("client"):
            caller = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET)
        with caller:
            caller.settimeout(30)
            set_options(caller, target_of(compiled).sockets)
            caller.connect((SERVER_V6 if version == 6 else SERVER_V4, PORT))
            caller.sendall(b"GET /v1/models HTTP/1.1\r\nhost: lab\r\n\r\n")
            assert caller.recv(65536).startswith(b"HTTP/1.1 200")
            with kernel.inside("server"):
                server_ss = run("ss", "-Htin", "state", "established", "sport", f"= :{PORT}")
            with kernel.inside("client"):
                client_ss = run("ss", "-Htin", "state", "established", "dport", f"= :{PORT}")
            own = tcp_info.sample(caller)["snd_mss"]
        (other,) = re.findall(r" mss:(\d+)", server_ss)
        assert re.findall(r" mss:(\d+)", client_ss) == [str(own)]
        return Seen(own, int(other), client_ss, server_ss)


@pytest.mark.parametrize(("tuned", "ip", "client", "server"), SIZES, ids=[f"{each[0]} {each[1]}" for each in SIZES])
def test_segment_sizes_follow_the_remedies(
    tuned: str, ip: str, client: int, server: int, edge: LinuxKernel, tmp_path: Path
) -> None:
    """Each end sends segments of the size that the remedies of both ends allow, by TCP_INFO and by ss."""
    with in_force(edge, tmp_path, tuned):
        seen = connection(edge, plan(tuned, ip))

    assert (seen.client, seen.server) == (client, server)


def test_congestion_control_is_per_host(edge: LinuxKernel, tmp_path: Path) -> None:
    """Connections of the host with a given algorithm use it, those of the other end use the kernel's default."""
    default = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    tuned = "server: {congestion-control: reno}"
    assert default != "reno"

    with in_force(edge, tmp_path, tuned):
        seen = connection(edge, plan(tuned))

    assert f" {default} " in seen.client_ss
    assert " reno " in seen.server_ss
    assert Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip() == default


@pytest.mark.parametrize("algorithm", ["bbr", "dctcp"])
def test_a_guest_allows_all_algorithms_in_namespaces(algorithm: str, edge: LinuxKernel, tmp_path: Path) -> None:
    """Also those that other machines restrict to the initial namespace."""
    tuned = f"client: {{sysctl: {{net.ipv4.tcp_ecn: 1}}}}\nserver: {{congestion-control: {algorithm}}}"

    with in_force(edge, tmp_path, tuned):
        seen = connection(edge, plan(tuned))

    assert f" {algorithm} " in seen.server_ss


@pytest.mark.parametrize("tuned", ["client: {route-mtu: 68, advmss: 88}", "server: {route-mtu: 65520, advmss: 32767}"])
def test_the_limits_of_the_options_are_the_kernels(tuned: str, edge: LinuxKernel, tmp_path: Path) -> None:
    """The smallest and the largest sizes read back as given, from the routes of both families."""
    with in_force(edge, tmp_path, tuned):
        told = snapshot(edge, tuned.partition(":")[0])

    mtu, advmss = re.findall(r"\d+", tuned)
    assert all(f"mtu {mtu} advmss {advmss}" in route for route in told[:2])


def test_iproute2_shows_the_settings(edge: LinuxKernel, tmp_path: Path) -> None:
    """Both default routes have their sizes, and the sysctl its value, on the tuned host."""
    tuned = "client: {sysctl: {net.ipv4.tcp_mtu_probing: 1}, route-mtu: 1400, advmss: 1340}"

    with in_force(edge, tmp_path, tuned):
        told = {place: snapshot(edge, place) for place in ("client", "server")}

    v4, v6, probing = told["client"]
    assert "via 10.1.0.254 " in v4
    assert "via fd01::fe " in v6
    assert all("mtu 1400 advmss 1340" in route for route in (v4, v6))
    assert probing == "1\n"
    assert not any("mtu" in route for route in told["server"])
    assert [snapshot(edge, place)[2] for place in told] == ["0\n", "0\n"]
    assert not any("mtu" in route for route in snapshot(edge, "client"))


def snapshot(kernel: LinuxKernel, place: str) -> list[str]:
    """The default routes and a sysctl of that host, as ip and sysctl show them."""
    with kernel.inside(place):
        routes = [run("ip", version, "route", "show", "default") for version in ("-4", "-6")]
        return [*routes, run("sysctl", "-n", "net.ipv4.tcp_mtu_probing")]


def test_a_missing_algorithm_is_refused(edge: LinuxKernel, tmp_path: Path) -> None:
    """The message names the remedy and the command that lists algorithms, and the lab is removed again."""
    with pytest.raises(RefusedError) as caught, in_force(edge, tmp_path, "client: {congestion-control: no-such}"):
        pass

    assert str(caught.value).startswith("congestion-control no-such: this kernel has no such algorithm")
    assert "sysctl net.ipv4.tcp_available_congestion_control" in str(caught.value)


def test_a_restricted_algorithm_is_refused(edge: LinuxKernel, tmp_path: Path) -> None:
    """On a machine that restricts an algorithm the message says how to allow it."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    former = allowed.read_text()
    allowed.write_text("cubic")
    try:
        with pytest.raises(RefusedError) as caught, in_force(edge, tmp_path, "client: {congestion-control: dctcp}"):
            pass
    finally:
        allowed.write_text(former)

    assert str(caught.value).startswith("congestion-control dctcp: this kernel restricts it in network namespaces")
    assert "sudo sysctl -w net.ipv4.tcp_allowed_congestion_control=" in str(caught.value)
