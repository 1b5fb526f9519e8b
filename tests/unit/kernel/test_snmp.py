"""What a router says of itself in /proc/net/snmp and snmp6."""

from __future__ import annotations

from chaoskit.kernel.snmp import parse
from chaoskit.knobs import HopCounters

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
    """What was taken apart over IPv4 is too long, and multicast over IPv6 is nobody's that has to be sent on."""
    assert parse(SNMP, "") == HopCounters(received=120, too_big=14, icmp_too_big=9)
    assert parse("", SNMP6) == HopCounters(received=56, too_big=6, icmp_too_big=6)
    assert parse(SNMP, SNMP6) == HopCounters(received=176, too_big=20, icmp_too_big=15)


def test_a_kernel_without_a_counter_has_counted_nothing() -> None:
    """Whatever of the files is not there is 0."""
    assert parse("", "") == HopCounters(0, 0, 0)
