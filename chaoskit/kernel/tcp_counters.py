"""Reads what a namespace counted of its TCP and its tracked connections; names as nstat's.

| file                            | counters                                                                         |
|---------------------------------|----------------------------------------------------------------------------------|
| /proc/net/snmp, netstat         | since the namespace began (net/ipv4/proc.c)                                      |
| /proc/net/stat/nf_conntrack     | a line for each processor, hexadecimal: drops are summed, `entries` is the whole |
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

KEPT = (
    *("TcpRetransSegs", "TcpInErrs", "TcpInCsumErrors", "TcpOutRsts"),
    *("TcpExtTCPTimeouts", "TcpExtTCPLossProbes", "TcpExtTCPSpuriousRTOs", "TcpExtTCPLostRetransmit"),
    *("TcpExtTCPSACKReorder", "TcpExtTCPRcvQDrop", "TcpExtTCPBacklogDrop"),
    *("TcpExtListenOverflows", "TcpExtListenDrops"),
)
"""The counters of TCP."""
CONNTRACK = ("ConntrackEntries", "ConntrackDrop", "ConntrackInsertFailed")
_COLUMNS = ("entries", "drop", "insert_failed")
_FILES = ("net/snmp", "net/netstat", "net/stat/nf_conntrack")
_HERE = Path("/proc/thread-self")


def counters() -> tuple[dict[str, int], dict[str, str]]:
    """Those of the calling thread's namespace, and of the others why they are missing."""
    return parse(*(_text(_HERE / name) for name in _FILES))


def parse(snmp: str, netstat: str, conntrack: str) -> tuple[dict[str, int], dict[str, str]]:
    """The same from the texts of the three files; one that is not there is empty."""
    seen = {**dict(_tables(snmp)), **dict(_tables(netstat))}
    found = {name: seen[name] for name in KEPT if name in seen}
    missing = {name: "this kernel does not count it" for name in KEPT if name not in seen}
    names, *rows = [line.split() for line in conntrack.splitlines()] or [[]]
    if not rows or not set(_COLUMNS) <= set(names):
        return found, missing | dict.fromkeys(CONNTRACK, "this kernel tracks no connections")
    entries, *others = ([int(row[names.index(column)], 16) for row in rows] for column in _COLUMNS)
    return found | dict(zip(CONNTRACK, (max(entries), *map(sum, others)), strict=True)), missing


def _tables(text: str) -> Iterator[tuple[str, int]]:
    """Pairs of lines, names above values, both behind the table's name."""
    lines = [line.split() for line in text.splitlines()]
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        for name, value in zip(names[1:], values[1:], strict=False):
            yield names[0].removesuffix(":") + name, int(value)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
