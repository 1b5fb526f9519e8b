"""Tests an MSS clamp on a real interface: it affects the selected handshakes alone and never outlives its owner."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Command, started
from lab import run, state, wait_for

from chaoskit.engine.apply_restore import apply
from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Clamp, Foreign, Knob, Link, Neighbour, Sysctl
from chaoskit.middlebox import TcpFlow
from chaoskit.report.commands import apply_commands, revert_commands
from chaoskit.topology.steering import CLAMP, Remote, TrafficSelector, clamp

HERE = Knob("clamp", "here", CLAMP.name)
MSS, TIMESTAMPS = 1200, 12  # bytes; the latter of each segment
V4, V6, OTHER_V4, OTHER_V6 = "10.0.0.2", "fd00::2", "10.0.0.3", "fd00::3"
WIDE = {V4: 1448, V6: 1428}
FIREWALL = """\
table inet somebody {
  chain forth { type filter hook postrouting priority mangle; tcp dport 9 drop; }
  chain back { type filter hook prerouting priority mangle; tcp sport 9 counter drop; }
}
"""
SELECTORS = (
    TrafficSelector(),
    TrafficSelector(
        (Remote("192.0.2.7/32", 443), Remote("10.0.0.0/8"), Remote("10.128.0.0/9"), Remote("fd00::/63")), 5000, "tcp"
    ),
    TrafficSelector((Remote("0.0.0.0/0", 443), Remote(None, 80)), versions=frozenset({4})),
)
"""Addresses in whole bytes and not, of nobody in particular, and of all."""
STRANGERS = (
    "",
    "tcp flags syn accept",
    "tcp flags syn tcp option maxseg size set rt mtu",
    "tcp flags syn tcp option maxseg size set 1200; counter",
    "tcp flags syn tcp option maxseg size set 1200; tcp flags syn tcp option maxseg size set 1300",
    "oifname cable meta nfproto ipv4 tcp flags syn tcp option maxseg size set 1200",
    "tcp sport 1-9 tcp dport 9 tcp flags syn tcp option maxseg size set 1200",
    "ip saddr 10.0.0.2 ip daddr 10.0.0.2 tcp flags syn tcp option maxseg size set 1200",
    "tcp flags syn counter meta mark set 1200",
    "ip daddr 10.0.0.2 tcp flags syn tcp option maxseg size set 1200",
)
"""Rules in our table's name that are none of ours."""


@dataclass
class Cable:
    """The link `cable` between the namespaces `here` and `there`, with chaoskit running in `here`."""

    kernel: LinuxKernel
    home: Path

    def started(self, *words: str, told: str = "") -> Command:
        """Starts a command in `here`."""
        with self.kernel.inside("here"):
            return started(self.home, *words, told=told)

    def output_of(self, *words: str, told: str = "") -> str:
        """The output of a command in `here`; it must succeed."""
        code, said = self.started(*words, told=told).ended()
        assert code == 0, said
        return said

    def inject(self, *words: str) -> Command:
        """Starts a clamp of one host's port 8000, of both versions; returns once it is in force."""
        whom = ("-i", "cable", "--to", f"{V4}:8000", "--to", f"[{V6}]:8000")
        command = self.started("inject", *whom, "--mss-clamp", str(MSS), "--for", "60s", *words)
        wait_for(lambda: "in force until" in command.said.read_text())
        return command

    def lease(self) -> dict[str, Any]:
        """The only lease, as recorded."""
        (folder,) = (self.home / "leases").iterdir()
        told: dict[str, Any] = json.loads((folder / "lease.json").read_text())
        return told

    def rules(self) -> str:
        """The ruleset that nft lists in `here`."""
        with self.kernel.inside("here"):
            return run("nft", "list", "ruleset")

    def snapshot(self) -> str:
        """The full state of the namespace, without values that age."""
        lines = state(self.kernel, "here").splitlines()
        return "\n".join([*(line for line in lines if "lladdr" not in line and "neigh/" not in line), self.rules()])

    def segments(self, host: str, port: int = 8000, most: int | None = None) -> tuple[int, int]:
        """The segment sizes that the caller `here` and the callee `there` send on one connection; the callee announces
        at most `most`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with self.kernel.inside("there"):
            listener = socket.socket(family)
        with self.kernel.inside("here"):
            caller = socket.socket(family)
        with listener, caller:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if most is not None:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, most)
            listener.bind((host, port))
            listener.listen()
            caller.settimeout(30)
            caller.connect((host, port))
            callee, _ = listener.accept()
            with callee:
                ours, theirs = (each.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for each in (caller, callee))
        return ours, theirs

    def hits(self, host: str = V4) -> bool:
        """Whether the connections of the selected host are clamped, both ways; never one way alone."""
        found = {size == MSS - TIMESTAMPS for size in self.segments(host)}
        assert len(found) == 1
        return found.pop()


@pytest.fixture
def cable(kernel: LinuxKernel, tmp_path: Path) -> Iterator[Cable]:
    """Two addresses of each version at the remote end, and a foreign firewall in `here`."""
    for place, numbers in (("here", (1,)), ("there", (2, 3))):
        kernel.write(Knob("link", place, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
        kernel.write(Knob("sysctl", place, "net.ipv6.conf.cable.accept_dad"), Sysctl("0"))
        for number in numbers:
            kernel.write(Knob("address", place, f"cable 10.0.0.{number}/24"), Address())
            kernel.write(Knob("address", place, f"cable fd00::{number}/64"), Address())
    for place, mac, others in (("here", 2, (V4, V6, OTHER_V4, OTHER_V6)), ("there", 1, ("10.0.0.1", "fd00::1"))):
        for other in others:
            kernel.write(Knob("neighbour", place, f"cable {other}"), Neighbour(f"02:00:00:00:00:0{mac}"))
    with kernel.inside("here"):
        subprocess.run(["nft", "-f", "-"], input=FIREWALL, text=True, check=True)
    found = Cable(kernel, tmp_path / "state")
    yield found
    if any((tmp_path / "state" / "leases").glob("*")):
        found.started("restore").ended()


def test_the_selected_handshakes_are_clamped_both_ways(cable: Cable) -> None:
    """Over IPv4 and IPv6, both ends of the selected connections send shorter segments; connections of another port or
    address do not; a smaller MSS is not raised; after an interrupt everything is as before, byte for byte."""
    before = cable.snapshot()

    command = cable.inject()

    for host, neighbour in ((V4, OTHER_V4), (V6, OTHER_V6)):
        assert cable.hits(host)
        assert cable.segments(host, most=1000)[0] == 1000 - TIMESTAMPS
        for others in (cable.segments(host, 8001), cable.segments(neighbour)):
            assert set(others) == {WIDE[host]}
    os.kill(command.pid, signal.SIGINT)
    code, said = command.ended()
    assert code == 128 + signal.SIGINT, said
    assert "Traceback" not in said
    assert cable.segments(V4) == (WIDE[V4], WIDE[V4])
    assert cable.snapshot() == before


@pytest.mark.parametrize("selector", SELECTORS, ids=str)
def test_the_printed_commands_make_the_same_table(cable: Cable, selector: TrafficSelector) -> None:
    """The commands of the dry run create the table that we create: nft lists the same rules, both read as the same
    clamp, and the restore commands leave a foreign table unchanged."""
    ((_, asked),) = clamp("cable", selector, MSS)
    before = cable.rules()

    cable.kernel.write(HERE, asked)
    ours, held = cable.rules(), cable.kernel.read(HERE)
    cable.kernel.write(HERE, None)
    assert cable.rules() == before
    with cable.kernel.inside("here"):
        subprocess.run(["sh", "-ex"], input="\n".join(apply_commands([(CLAMP, asked)])), text=True, check=True)
        theirs, of_theirs = cable.rules(), cable.kernel.read(HERE)
        subprocess.run(["sh", "-ex"], input="\n".join(revert_commands([(CLAMP, asked)])), text=True, check=True)

    assert held == of_theirs == asked
    assert without_owner(ours) == without_owner(theirs)
    assert "flags owner" in ours
    assert theirs != before
    assert cable.rules() == before


def without_owner(listed: str) -> list[str]:
    """The listing without the owner of the table."""
    return [line for line in re.sub(r" # progname .*\n\tflags owner\n", "\n", listed).splitlines() if line]


def test_a_foreign_table_of_our_name_is_refused(cable: Cable, tmp_path: Path) -> None:
    """A table with any content of its own is refused before anything changes, and stays."""
    for rules in STRANGERS:
        table = f"chain forward {{ type filter hook forward priority mangle; {rules}\n }}"
        with cable.kernel.inside("here"):
            run("nft", f"flush ruleset; table inet chaoskit-mss {{ {table}\n }}")
        before = cable.rules()

        assert isinstance(cable.kernel.read(HERE), Foreign), rules
        with Journal.at(tmp_path) as journal, pytest.raises(RefusedError, match="that chaoskit did not create"):
            apply(cable.kernel, journal, (HERE, Clamp(MSS)))
        assert cable.rules() == before


def test_a_killed_owner_leaves_nothing(cable: Cable) -> None:
    """After kill -9 the table has disappeared with its owner, the watchdog restores, and foreign tables stay."""
    before = cable.rules()
    command = cable.inject()
    assert cable.hits()

    os.kill(command.pid, signal.SIGKILL)
    os.waitpid(command.pid, 0)

    assert cable.kernel.read(HERE) is None, "its owner has ended, and the kernel has taken its table away"
    wait_for(lambda: not list((cable.home / "leases").glob("*")))
    assert not cable.hits()
    assert cable.rules() == before


def test_a_detached_clamp_lives_with_its_watchdog(cable: Cable) -> None:
    """The table outlives its owner by the watchdog's copy of its socket, and nft cannot delete it; `restore` can. The
    lease's arguments can be injected again; and when the state is lost and the watchdog is killed, nothing is left
    to restore."""
    before = cable.rules()
    assert cable.inject("--detach").ended()[0] == 0
    first = cable.rules()
    assert cable.hits()
    lease = cable.lease()
    with cable.kernel.inside("here"):
        deletion = subprocess.run(["nft", "delete table inet chaoskit-mss"], capture_output=True, check=False)
    assert deletion.returncode
    assert "clamp mss: removed" in cable.output_of("restore", lease["id"])
    assert cable.rules() == before

    cable.output_of("inject", "-", "--detach", told=json.dumps(lease["injection"]))
    assert cable.rules() == first
    watchdog = cable.lease()["watchdog"]["pid"]
    shutil.rmtree(cable.home)
    os.kill(watchdog, signal.SIGKILL)

    wait_for(lambda: cable.kernel.read(HERE) is None)
    assert cable.rules() == before


def test_forked_children_do_not_keep_the_table(cable: Cable) -> None:
    """A forked child that lives on does not keep the table: it disappears with its owner."""
    told, tell = os.pipe()
    maker = os.fork()
    if maker == 0:
        cable.kernel.write(HERE, Clamp(MSS, (TcpFlow("cable", "egress", "ip"),)))
        child = os.fork()
        if child:
            os.write(tell, str(child).encode())
        while True:
            signal.pause()
    child = int(os.read(told, 20))
    was_there = cable.kernel.read(HERE) is not None

    os.kill(maker, signal.SIGKILL)
    os.waitpid(maker, 0)

    try:
        wait_for(lambda: cable.kernel.read(HERE) is None)
    finally:
        os.kill(child, signal.SIGKILL)
    assert was_there


def test_a_removed_clamp_disappears_at_once(cable: Cable) -> None:
    """The table is deleted even when a copy of its socket is open."""
    cable.kernel.write(HERE, Clamp(MSS, (TcpFlow("cable", "egress", "ip"),)))
    (hold,) = cable.kernel._namespaces["here"].tables.values()
    copy = os.dup(hold.fd)

    cable.kernel.write(HERE, None)

    assert cable.kernel.read(HERE) is None
    os.close(copy)
