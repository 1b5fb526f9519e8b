"""Runs in a guest: sends 200 kB through the lab under each fault of a path's MTU, and writes down what the socket saw.

    every_fault.py ANSWER

In both directions, over both IP versions, with each value of tcp_mtu_probing at the sender.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from chaoskit.clock import RealClock, now
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.faults import Fault
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Pulse, Sysctl
from chaoskit.records.tcp_info import sample
from chaoskit.topology.fault_site import Lab
from chaoskit.topology.lab import EDGE
from chaoskit.topology.lab_build import build

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
HOSTS = {("client", 4): "10.1.0.1", ("client", 6): "fd01::1", ("server", 4): "10.2.0.1", ("server", 6): "fd02::1"}
SENDER = {"up": ("client", "server"), "down": ("server", "client")}
SETTLING = 10**9  # virtual ns until the kernel has looked at each new IPv6 address
AMOUNT, PATIENCE = 200_000, 12 * 10**9
MTU = 1300
HOLE = {"pmtu": {"mtu": MTU, "signal": "dropped"}}
FAULTS: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "signalled": [{"pmtu": MTU, "direction": "DIRECTION"}],
    "black-hole": [HOLE | {"direction": "DIRECTION"}],
    "other-way": [HOLE | {"direction": "OTHER"}],
    "size-drop": [{"size-drop": MTU, "link": "router-server", "direction": "DIRECTION"}],
    "clamped-hole": [HOLE | {"direction": "both"}, {"mss-clamp": MTU - 60}],
    "smaller-link": [{"mtu": MTU, "link": "client-router"}],
    "wireguard": [{"tunnel": "wireguard", "signal": "dropped", "direction": "DIRECTION"}],
    "jumbo-mismatch": [{"tunnel": "jumbo-mismatch", "direction": "DIRECTION"}],
}


def cases() -> Iterator[tuple[str, str, int, int]]:
    """Fault, direction, IP version, tcp_mtu_probing."""
    yield from product(FAULTS, SENDER, (4, 6), (0, 1, 2))


def settings(fault: str, direction: str, ip: int) -> list[Any]:
    """The changes of a fault for whoever sends in this direction."""
    other = {"up": "down", "down": "up"}[direction]
    told = ({**words, **_directed(words, direction, other)} for words in FAULTS[fault])
    return [change for words in told for change in FAULT.validate_python(words).changes(Lab(ip), 1000, 0)]


def _directed(words: dict[str, Any], direction: str, other: str) -> dict[str, Any]:
    told = {"DIRECTION": direction, "OTHER": other}
    return {"direction": told.get(words["direction"], words["direction"])} if "direction" in words else {}


def main(answer: Path) -> None:
    """All of them in one lab."""
    touched = {knob for fault, direction in product(FAULTS, SENDER) for knob, _ in settings(fault, direction, 4)}
    rows = []
    with LinuxKernel(detect_features()) as kernel:
        for change in build(EDGE, frozenset(touched)):
            kernel.write(*change)
        RealClock().sleep_until(now() + SETTLING)
        for number, case in enumerate(cases()):
            with tempfile.TemporaryDirectory() as folder, Journal.at(Path(folder)) as journal:
                rows.append(row(kernel, journal, case))
                assert restore(kernel, journal) == [], (number, case)
    answer.write_text(json.dumps(rows))


def row(kernel: LinuxKernel, journal: Journal, case: tuple[str, str, int, int]) -> dict[str, Any]:
    """One connection under one fault."""
    fault, direction, ip, probing = case
    sender, _ = SENDER[direction]
    apply(kernel, journal, (Knob("sysctl", sender, "net.ipv4.tcp_mtu_probing"), Sysctl(str(probing))))
    for change in settings(fault, direction, ip):
        apply(kernel, journal, change)
    for place in ("client", "server"):
        kernel.pulse(Pulse("flush-pmtu", place))
    told = transfer(kernel, direction, ip)
    return {"fault": fault, "direction": direction, "ip": ip, "probing": probing} | told


def transfer(kernel: LinuxKernel, direction: str, ip: int) -> dict[str, Any]:
    """Connect from the client to the server, send in this direction until all has arrived or patience has ended."""
    family = socket.AF_INET6 if ip == 6 else socket.AF_INET
    with kernel.inside("server"):
        listener = socket.create_server((HOSTS["server", ip], 0), family=family)
    with kernel.inside("client"):
        client = socket.socket(family)
    client.connect(listener.getsockname()[:2])
    server, _ = listener.accept()
    listener.close()
    speaker, hearer = (client, server) if direction == "up" else (server, client)
    begun, left, arrived = now(), AMOUNT, 0
    speaker.setblocking(False)
    while arrived < AMOUNT and now() - begun < PATIENCE:
        readable, writable, _ = select.select([hearer], [speaker] if left else [], [], 0.1)
        if writable:
            left -= speaker.send(bytes(left))
        if readable:
            arrived += len(hearer.recv(1 << 20))
    seconds, info = (now() - begun) / 1e9, sample(speaker)
    for each in (client, server):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        each.close()
    return {"arrived": arrived, "seconds": seconds, "info": info}


if __name__ == "__main__":
    main(Path(os.fspath(sys.argv[1])))
