"""`chaoskit inject --cut` and `--idle-timeout` end the selected connections of an interface and leave nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from commands import Command, started
from lab import run, wait_for

from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Knob, Link, Sysctl

HOSTS = {4: "10.0.0.2", 6: "fd00::2"}
PORT, OTHER = 8000, 8001


class Machine:
    """The namespace `here`, whose link `cable` leads to the server in `there`."""

    def __init__(self, kernel: LinuxKernel, home: Path) -> None:
        self.kernel, self.home = kernel, home

    def started(self, *words: str) -> Command:
        """Starts a command in `here`."""
        with self.kernel.inside("here"):
            return started(self.home, *words)

    def inject(self, *words: str) -> Command:
        """Starts an injection for the server's port of both versions; returns once it is in force."""
        whom = ("-i", "cable", "--to", f"{HOSTS[4]}:{PORT}", "--to", f"[{HOSTS[6]}]:{PORT}", "--for", "60s")
        command = self.started("inject", *whom, *words)
        wait_for(lambda: "in force until" in command.said.read_text())
        return command

    def rules(self) -> str:
        """What nft lists in `here`."""
        with self.kernel.inside("here"):
            return run("nft", "list", "ruleset")

    @contextmanager
    def connected(self, version: int, port: int = PORT) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Both ends of a new connection: of the client here, of the server there."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with self.kernel.inside("there"):
            listener = socket.create_server((HOSTS[version], port), family=family)
        with listener, self.kernel.inside("here"):
            client = socket.create_connection((HOSTS[version], port), timeout=10)
            server, _ = listener.accept()
        server.settimeout(10)
        with closing(client), closing(server):
            yield client, server


@pytest.fixture
def machine(kernel: LinuxKernel, tmp_path: Path) -> Iterator[Machine]:
    """With an address of each version at both ends; afterwards no lease is left."""
    for place, number in (("here", 1), ("there", 2)):
        kernel.write(Knob("link", place, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
        kernel.write(Knob("sysctl", place, "net.ipv6.conf.cable.accept_dad"), Sysctl("0"))
        kernel.write(Knob("address", place, f"cable 10.0.0.{number}/24"), Address())
        kernel.write(Knob("address", place, f"cable fd00::{number}/64"), Address())
    found = Machine(kernel, tmp_path / "state")
    yield found
    if any((tmp_path / "state" / "leases").glob("*")):
        found.started("restore").ended()


def is_reset(end: socket.socket) -> bool:
    """Whether the next thing this end hears is an RST."""
    try:
        end.recv(100)
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("version", [4, 6])
def test_a_cut_ends_the_selected_connections(machine: Machine, version: int) -> None:
    """What is received beyond 1 kB ends a connection of the selected port at both ends; another port's goes on; an
    interrupt says how many there were, and nothing is left."""
    before = machine.rules()
    command = machine.inject("--cut", "1kB")

    with machine.connected(version) as (client, server), machine.connected(version, OTHER) as (apart, its_server):
        for each in (server, its_server):
            each.send(b"x" * 600)
        assert [len(each.recv(2000)) for each in (client, apart)] == [600, 600]
        for each in (server, its_server):
            each.send(b"x" * 600)
        assert is_reset(client)
        assert is_reset(server)
        assert len(apart.recv(2000)) == 600

    os.kill(command.pid, signal.SIGINT)
    code, said = command.ended()
    assert code == 128 + signal.SIGINT, said
    assert "both  TCP connections: cut after 1kB by reset" in said
    assert "1 connection ended" in said
    assert machine.rules() == before


@pytest.mark.parametrize("version", [4, 6])
def test_an_idle_timeout_tells_the_next_sender(machine: Machine, version: int) -> None:
    """After a silence the program here is reset when it sends, and the server hears nothing; so it is the other way."""
    command = machine.inject("--idle-timeout", "300ms by reset")

    with machine.connected(version) as (client, server), machine.connected(version) as (quiet, talker):
        time.sleep(0.4)
        client.send(b"x")
        talker.send(b"x")
        assert is_reset(client)
        assert is_reset(talker)
        for each in (server, quiet):
            each.setblocking(False)
            with pytest.raises(BlockingIOError):
                each.recv(1)

    os.kill(command.pid, signal.SIGINT)
    assert "2 connections ended" in command.ended()[1]


def test_silence_on_this_machines_own_packets(machine: Machine) -> None:
    """What this machine sends is dropped before it leaves, and its program is told nothing."""
    command = machine.inject("--idle-timeout", "300ms")

    with machine.connected(4) as (client, server):
        time.sleep(0.4)
        client.send(b"x")
        for each in (client, server):
            each.settimeout(0.5)
            with pytest.raises(TimeoutError):
                each.recv(1)

    os.kill(command.pid, signal.SIGINT)
    assert "1 connection ended" in command.ended()[1]


def test_a_killed_owner_leaves_nothing(machine: Machine) -> None:
    """A detached injection lives with its watchdog, says in its status what it does, and can be injected again; after
    kill -9 of an owner the tables are gone."""
    before = machine.rules()
    command = machine.inject("--cut", "2s by silence", "--idle-timeout", "60s", "--detach")
    assert command.ended()[0] == 0
    assert "chaoskit-cut-connections" in machine.rules()
    code, said = machine.started("status").ended()
    assert code == 0, said
    assert "cut after 2s by silence" in re.sub(r"\s+", " ", said)
    assert "forgotten after 60s of silence: what comes later is lost" in re.sub(r"\s+", " ", said)
    (folder,) = (machine.home / "leases").iterdir()
    asked = json.loads((folder / "lease.json").read_text())["injection"]
    assert asked["cut"] == {"after": "2s", "by": "silence"}
    machine.started("restore").ended()
    assert machine.rules() == before

    command = machine.inject("--cut", "1kB")
    os.kill(command.pid, signal.SIGKILL)
    os.waitpid(command.pid, 0)
    wait_for(lambda: not list((machine.home / "leases").glob("*")))
    assert machine.rules() == before
