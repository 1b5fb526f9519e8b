"""Tests the parser of /proc/net/snmp and snmp6."""

from __future__ import annotations

from chaoskit.counters import HopCounters
from chaoskit.kernel.snmp import parse

SNMP = """\
Ip: Forwarding DefaultTTL InReceives ForwDatagrams OutDiscards FragOKs FragFails FragCreates
Ip: 1 64 120 106 0 5 9 10
Icmp: InMsgs OutMsgs OutDestUnreachs
Icmp: 0 9 9
"""
SNMP6 = """\
Ip6InReceives                   \t60
Ip6InTooBigErrors               \t2
Ip6FragFails                    \t6
Ip6InMcastPkts                  \t4
Icmp6OutPktTooBigs              \t6
"""


def test_each_packet_is_counted_once() -> None:
    """Fragmented IPv4 packets count as too long, and IPv6 multicast does not count as received."""
    assert parse(SNMP, "") == HopCounters(received=120, too_big=14, icmp_too_big=9)
    assert parse("", SNMP6) == HopCounters(received=56, too_big=6, icmp_too_big=6)
    assert parse(SNMP, SNMP6) == HopCounters(received=176, too_big=20, icmp_too_big=15)


def test_a_missing_counter_is_zero() -> None:
    """Counters that the files do not have are 0."""
    assert parse("", "") == HopCounters(0, 0, 0)
