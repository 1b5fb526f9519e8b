"""Reads the SNMP counters of forwarded and oversized packets of a namespace.

| counter  | IPv4                   | IPv6                              |
|----------|------------------------|-----------------------------------|
| came     | `InReceives`           | `Ip6InReceives`, no multicast     |
| too long | `FragFails`, `FragOKs` | `Ip6FragFails`                    |
| signals  | `Icmp OutDestUnreachs` | `Icmp6OutPktTooBigs`              |

IPv4 fragments packets where that is allowed (`FragOKs`). Kernels differ in whether oversized packets also count as
forwarded, and over IPv6 as `Ip6InTooBigErrors`; those two counters are not used. Packets to the router itself are
neglected.

The kernel limits the rate of neither signal (net/ipv4/icmp.c, net/ipv6/icmp.c), so each stands for one packet. IPv4 has
one counter for all unreachable messages; a router between two reachable neighbours sends them for sizes alone.
"""

from __future__ import annotations

from pathlib import Path

from chaoskit.counters import HopCounters
from chaoskit.kernel.namespaces import inside

_NET = Path("/proc/thread-self/net")


def counters(fd: int) -> HopCounters:
    """The counters of the namespace behind `fd`, since its creation."""
    with inside(fd):
        snmp, snmp6 = (path.read_text() if path.exists() else "" for path in (_NET / "snmp", _NET / "snmp6"))
    return parse(snmp, snmp6)


def parse(snmp: str, snmp6: str) -> HopCounters:
    """The counters in the texts of the two files; missing ones are 0."""
    lines = [line.split() for line in snmp.splitlines()]
    found = {
        names[0] + name: int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=False)
        for name, value in zip(names[1:], values[1:], strict=False)
    }
    found |= {fields[0]: int(fields[1]) for line in snmp6.splitlines() if len(fields := line.split()) == 2}
    return HopCounters(
        received=found.get("Ip:InReceives", 0) + found.get("Ip6InReceives", 0) - found.get("Ip6InMcastPkts", 0),
        too_big=found.get("Ip:FragFails", 0) + found.get("Ip:FragOKs", 0) + found.get("Ip6FragFails", 0),
        icmp_too_big=found.get("Icmp:OutDestUnreachs", 0) + found.get("Icmp6OutPktTooBigs", 0),
    )
