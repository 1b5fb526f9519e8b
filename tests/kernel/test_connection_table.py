"""Tests cuts and idle timeouts on a router between two hosts: which connections end, when, and who is told."""

from __future__ import annotations

import re
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from edge_lab import build
from lab import run

from chaoskit.counters import QueueCounters
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Foreign, Knob
from chaoskit.middlebox import Cut, Ending, IdleTimeout, TcpFlow
from chaoskit.report.commands import apply_commands, revert_commands

ROUTER = "router"
CUT, IDLE = Knob("cut", ROUTER, "connections"), Knob("idle-timeout", ROUTER, "connections")
DOWN = (TcpFlow("to-client", "egress", "ip"), TcpFlow("to-client", "egress", "ipv6"))
UP = (TcpFlow("to-client", "ingress", "ip"), TcpFlow("to-client", "ingress", "ipv6"))
SERVERS = {4: "10.2.0.1", 6: "fd02::1"}
PORTS = count(9000)
SETTINGS = (
    Cut("reset", (*DOWN, *UP), DOWN, bytes=1000),
    Cut("silence", UP[:1], UP[:1], bytes=2**40),
    Cut("silence", (*DOWN, *UP), (*DOWN, *UP), ms=2000),
    Cut("reset", DOWN[1:], DOWN[1:], ms=90_000),
    IdleTimeout("reset", (*DOWN, *UP), 60_000),
    IdleTimeout("silence", (TcpFlow("eth0", "ingress", "ip", "192.0.2.0/28", None, 443),), 86_400_000),
    IdleTimeout(
        "reset",
        (TcpFlow("eth0", "ingress", "ipv6", "fd00::/9", None, 443, 9), TcpFlow("eth0", "egress", "ip")),
        3_600_000,
    ),
)

BOTH_ENDINGS = pytest.mark.parametrize(("version", "by"), [(4, "reset"), (6, "reset"), (6, "silence")])
"""A reset is made for each IP version, silence is the same for both."""


@pytest.fixture(scope="module")
def lab(facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinuxKernel]:
    """The edge lab."""
    with LinuxKernel(facts) as kernel, Journal.at(tmp_path_factory.mktemp("run")) as journal:
        for change in build(frozenset()):
            apply(kernel, journal, change)
        yield kernel


@dataclass
class Pair:
    """A connection through the router."""

    client: socket.socket
    server: socket.socket

    def down(self, size: int = 100) -> str:
        """What the client gets when the server sends so many bytes."""
        return _passed(self.server, self.client, size)

    def up(self, size: int = 100) -> str:
        """What the server gets when the client sends so many bytes."""
        return _passed(self.client, self.server, size)


def _passed(sender: socket.socket, receiver: socket.socket, size: int) -> str:
    """`data`, `reset` or, after a second, `silence`."""
    with suppress(ConnectionResetError, BrokenPipeError):
        sender.send(b"x" * size)
    return heard(receiver)


def heard(end: socket.socket, within: float = 1.0) -> str:
    """What this end gets: `data` (all of it is read), `reset` or `silence`."""
    if not select.select([end], [], [], within)[0]:
        return "silence"
    try:
        return "data" if end.recv(1 << 20) else "end"
    except ConnectionResetError:
        return "reset"


@contextmanager
def connected(lab: LinuxKernel, version: int, ports: tuple[int, int] | None = None) -> Iterator[Pair]:
    """A new connection; `ports` of both ends."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    client_port, server_port = ports or (0, next(PORTS))
    with lab.inside("server"):
        listener = socket.socket(family)
    with lab.inside("client"):
        client = socket.socket(family)
    with listener, client:
        for each in (listener, client):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SERVERS[version], server_port))
        listener.listen()
        client.settimeout(10)
        client.bind(("", client_port))
        client.connect((SERVERS[version], server_port))
        server, _ = listener.accept()
        with server:
            for each in (client, server):  # its end is an RST, and nothing is sent after it
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            yield Pair(client, server)


@contextmanager
def held(lab: LinuxKernel, knob: Knob, setting: Cut | IdleTimeout) -> Iterator[None]:
    """Sets it, and removes it."""
    lab.write(knob, setting)
    try:
        yield
    finally:
        lab.write(knob, None)


def counted(lab: LinuxKernel, knob: Knob) -> QueueCounters:
    """What it has counted."""
    found = lab.counters(knob)
    assert found is not None
    return found


def rules(lab: LinuxKernel) -> str:
    """The ruleset that nft lists, without numbers that change."""
    with lab.inside(ROUTER):
        return re.sub(r" expires \S+", "", run("nft", "list", "ruleset"))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting.type}-{setting.by}-{setting.ms}")
def test_what_is_written_is_read_back_and_is_what_nft_makes(lab: LinuxKernel, setting: Cut | IdleTimeout) -> None:
    """The setting reads back; nft lists the same table after the printed commands, whose undoing leaves nothing."""
    knob = CUT if isinstance(setting, Cut) else IDLE
    before = rules(lab)

    with held(lab, knob, setting):
        ours, back = rules(lab), lab.read(knob)
    assert rules(lab) == before
    here = Knob(knob.kind, "", knob.name)
    with lab.inside(ROUTER):
        subprocess.run(["sh", "-ex"], input="\n".join(apply_commands([(here, setting)])), text=True, check=True)
        theirs, of_theirs = rules(lab), lab.read(knob)
        subprocess.run(["sh", "-ex"], input="\n".join(revert_commands([(here, setting)])), text=True, check=True)

    assert back == setting
    assert of_theirs == setting
    assert lasting(re.sub(r" # progname .*\n\tflags owner\n", "\n", ours)) == lasting(theirs)
    assert rules(lab) == before


def lasting(listing: str) -> list[str]:
    """The lines of a table without elements, which expire while a slow machine still types commands."""
    return [line for line in listing.splitlines() if line and not line.strip().startswith("elements = ")]


def test_a_foreign_table_of_our_name_is_refused(lab: LinuxKernel, tmp_path: Path) -> None:
    """Another program's table of our name stays, and so does ours with one more rule, set or chain."""
    commands = apply_commands([(Knob("cut", "", "connections"), SETTINGS[0])])
    table = "inet chaoskit-cut-connections"
    strange = (
        f"nft add rule {table} state4 counter",
        f"nft add set {table} more '{{ type ipv4_addr ; }}'",
        f"nft flush chain {table} forward",
        f"nft flush table {table}",
        f"nft add rule {table} forward tcp dport 9 goto counted4",
    )
    for more in strange:
        with lab.inside(ROUTER):
            subprocess.run(["sh", "-e"], input="\n".join([*commands, more]), text=True, check=True)
        before = rules(lab)

        assert isinstance(lab.read(CUT), Foreign), more
        with Journal.at(tmp_path) as journal, pytest.raises(RefusedError, match="that chaoskit did not create"):
            apply(lab, journal, (CUT, SETTINGS[0]))
        assert rules(lab) == before
        with lab.inside(ROUTER):
            run("nft", "delete", "table", *table.split(" "))


@BOTH_ENDINGS
def test_a_cut_after_a_size(lab: LinuxKernel, version: int, by: Ending) -> None:
    """What is sent down before 1000 bytes arrives; the packet beyond them ends the connection, whether it is older than
    the cut or not; what is sent up counts for nothing. By reset both ends are told, by silence none."""
    with connected(lab, version) as old, held(lab, CUT, Cut(by, (*DOWN, *UP), DOWN, bytes=1000)):
        with connected(lab, version) as new:
            for pair in (old, new):
                assert [pair.down(300), pair.up(1400), pair.down(300), pair.down(400)] == ["data", "data", "data", by]
                assert pair.up() == by
                if by == "reset":
                    assert heard(pair.server) in ("reset", "end")
        found = counted(lab, CUT)
        assert found.overlimits == 2
        assert found.drops >= 2
        assert found.packets > 12


@BOTH_ENDINGS
def test_a_cut_after_a_time(lab: LinuxKernel, version: int, by: Ending) -> None:
    """A connection ends a second after its SYN, an older one a second after the cut was made, both by their next data
    in whichever direction; a new one is not touched, and may have the ports of one that was cut."""
    ports = (next(PORTS) + 1000, next(PORTS))
    with connected(lab, version) as old, held(lab, CUT, Cut(by, (*DOWN, *UP), (*DOWN, *UP), ms=1000)):
        with connected(lab, version, ports) as new:
            begin = time.monotonic()
            assert [old.down(), new.up(), old.up(), new.down()] == ["data"] * 4
            time.sleep(max(0.0, begin + 1.02 - time.monotonic()))
            assert [old.down(), new.up()] == [by, by]
            if by == "reset":
                assert [heard(old.server), heard(new.client)] == ["reset", "reset"]
            assert counted(lab, CUT).overlimits == 2
        with connected(lab, version, ports) as newer:
            assert [newer.down(), newer.up()] == ["data", "data"]
            assert counted(lab, CUT).overlimits == 2


@BOTH_ENDINGS
def test_an_idle_timeout(lab: LinuxKernel, version: int, by: Ending) -> None:
    """Every packet, in either direction, gives a connection another second and a half. After as long without any it is
    forgotten, an older one too: by reset whoever sends next is told so, and the other end hears nothing."""
    with connected(lab, version) as old, held(lab, IDLE, IdleTimeout(by, (*DOWN, *UP), 1500)):
        with connected(lab, version) as busy, connected(lab, version) as idle:
            begin = time.monotonic()
            assert idle.up() == "data"
            while time.monotonic() < begin + 2:
                assert [busy.down(), busy.up()] == ["data", "data"]
                time.sleep(0.2)
            old.server.send(b"x")
            idle.client.send(b"x")
            assert busy.down() == "data"
            assert [heard(old.client, 0.1), heard(idle.server, 0.1)] == ["silence", "silence"]
            assert busy.down() == "data"
            assert [heard(old.server, 0.1), heard(idle.client, 0.1)] == [by, by]
            assert busy.down() == "data"
        assert counted(lab, IDLE).overlimits == 2


def test_a_cut_bounds_a_long_upload(lab: LinuxKernel) -> None:
    """Of a megabyte in one write no more than the limit and one packet arrive."""
    with held(lab, CUT, Cut("silence", (*DOWN, *UP), UP, bytes=20_000)), connected(lab, 4) as pair:
        pair.client.setblocking(False)
        pair.client.send(b"x" * 1_000_000)
        arrived = 0
        while select.select([pair.server], [], [], 1.0)[0]:
            arrived += len(pair.server.recv(1 << 20))
    assert 15_000 < arrived <= 20_000


def test_what_is_removed_ends_nothing_more(lab: LinuxKernel) -> None:
    """A connection that was silenced goes on when the cut is gone, by TCP's own retransmission."""
    with connected(lab, 4) as pair:
        with held(lab, CUT, Cut("silence", (*DOWN, *UP), DOWN, bytes=200)):
            assert pair.down(500) == "silence"
        assert heard(pair.client, within=10) == "data"
