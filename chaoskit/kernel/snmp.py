"""What a namespace counts of packets that it should send on for others: its SNMP counters.

| counter  | IPv4                   | IPv6                              |
|----------|------------------------|-----------------------------------|
| came     | `InReceives`           | `Ip6InReceives`, no multicast     |
| too long | `FragFails`, `FragOKs` | `Ip6FragFails`                    |
| told     | `Icmp OutDestUnreachs` | `Icmp6OutPktTooBigs`              |

IPv4 takes apart what may be (`FragOKs`). Kernels differ in whether what is too long counts as sent on, and over IPv6
as `Ip6InTooBigErrors`; those two say nothing. That a router is spoken to itself is left out of account.

The kernel limits the rate of neither signal (net/ipv4/icmp.c, net/ipv6/icmp.c), so each is one packet's. IPv4 has one
counter for whatever cannot be reached; a router between two neighbours that are there tells of sizes alone.
"""

from __future__ import annotations

from pathlib import Path

from chaoskit.kernel.namespaces import inside
from chaoskit.knobs import HopCounters

_NET = Path("/proc/thread-self/net")


def counters(fd: int) -> HopCounters:
    """Those of the namespace behind `fd`, since it was made."""
    with inside(fd):
        old, new = (path.read_text() if path.exists() else "" for path in (_NET / "snmp", _NET / "snmp6"))
    return parse(old, new)


def parse(snmp: str, snmp6: str) -> HopCounters:
    """From the texts of the two files; what they do not have is 0."""
    lines = [line.split() for line in snmp.splitlines()]
    found = {
        names[0] + name: int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=False)
        for name, value in zip(names[1:], values[1:], strict=False)
    }
    found |= {words[0]: int(words[1]) for line in snmp6.splitlines() if len(words := line.split()) == 2}
    return HopCounters(
        received=found.get("Ip:InReceives", 0) + found.get("Ip6InReceives", 0) - found.get("Ip6InMcastPkts", 0),
        too_big=found.get("Ip:FragFails", 0) + found.get("Ip:FragOKs", 0) + found.get("Ip6FragFails", 0),
        icmp_too_big=found.get("Icmp:OutDestUnreachs", 0) + found.get("Icmp6OutPktTooBigs", 0),
    )
