"""What a namespace counted of its TCP is read as nstat reads it."""

from __future__ import annotations

from pathlib import Path

from chaoskit.kernel.tcp_counters import CONNTRACK, KEPT, counters, parse

SNMP = """\
Ip: Forwarding DefaultTTL InReceives
Ip: 1 64 120
Tcp: RtoAlgorithm MaxConn RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 -1 7 0 2 3
"""
NETSTAT = """\
TcpExt: SyncookiesSent TCPTimeouts TCPLossProbes
TcpExt: 0 4 5
IpExt: InNoRoutes TCPTimeouts
IpExt: 0 9
"""
CONNTRACK_STAT = """\
entries  searched found insert_failed drop early_drop
0000001a  00000000 00000000 00000001 00000010 00000000
0000001a  00000000 00000000 00000002 00000001 00000000
"""


def test_counters_are_taken_from_the_three_files() -> None:
    """Each from its table; of what the kernel lacks, why; processors are summed, entries are not."""
    found, missing = parse(SNMP, NETSTAT, CONNTRACK_STAT)

    assert (found["TcpRetransSegs"], found["TcpInCsumErrors"], found["TcpExtTCPTimeouts"]) == (7, 3, 4)
    assert [found[name] for name in CONNTRACK] == [26, 17, 3]
    assert missing["TcpExtTCPRcvQDrop"] == "this kernel does not count it"
    assert found.keys() & missing.keys() == set()
    assert found.keys() | missing.keys() == {*KEPT, *CONNTRACK}


def test_a_kernel_without_connection_tracking_says_so() -> None:
    """A reason for each counter; nothing at all is no error either."""
    _, missing = parse(SNMP, NETSTAT, "")

    assert {missing[name] for name in CONNTRACK} == {"this kernel tracks no connections"}
    assert parse("", "", "")[0] == {}


def test_this_thread_s_namespace_is_read() -> None:
    """The files are those of /proc/thread-self: the main thread may be in another namespace."""
    assert Path("/proc/thread-self/net/netstat").exists()
    assert counters()[0]["TcpRetransSegs"] >= 0
