"""Samples the TCP sockets of a lab's hosts, which know when data last passed on each connection.

Rules: a socket has a line when its state, its data or its retransmissions have changed since the last sample: silence
costs nothing; only connections between hosts count; a host has at most so many sockets in a sample, and what was left
out is written down at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack

from chaoskit.clock import Clock
from chaoskit.evidence.connection_ends import Namespaces
from chaoskit.kernel.socket_diag import SocketDiag
from chaoskit.records.host_records import HostSocket
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Counters
from chaoskit.topology.places import Places

KIND = "sockets"  # of counters
MOST = 2000  # sockets of one host in one sample
_CHANGES = ("state", "bytes_received", "bytes_sent", "bytes_acked", "total_retrans")
_KEPT = (
    *("state", "last_data_recv", "last_data_sent", "bytes_received", "bytes_sent", "bytes_acked"),
    *("unacked", "notsent_bytes", "retransmits", "total_retrans", "rtt", "snd_cwnd", "snd_mss", "pmtu"),
    *("lost", "options"),
)
_Key = tuple[int, str, int]


class HostSockets:
    """A socket for dumps in each host's namespace."""

    def __init__(self, kernel: Namespaces, places: Places, clock: Clock) -> None:
        """Raises RefusedError where this kernel cannot list sockets."""
        self._places, self._clock = places, clock
        self._dumps: dict[str, SocketDiag] = {}
        self._last: dict[str, dict[_Key, tuple[int, ...]]] = {}
        self._recorded, self._left_out = Counter[str](), Counter[str]()
        with ExitStack() as opened:
            for host in places.hosts:
                with kernel.inside(host):
                    self._dumps[host] = SocketDiag()
                opened.callback(self._dumps[host].close)
            self._closing = opened.pop_all()

    def sample(self, log: Log) -> None:
        """Record the sockets that have changed."""
        for host, dump in self._dumps.items():
            at, former, latest = self._clock.now(), self._last.get(host, {}), dict[_Key, tuple[int, ...]]()
            sockets, beyond = dump.sockets(MOST)
            self._left_out[host] += beyond
            for each in sorted(sockets, key=lambda each: each[:4]):
                if each.remote not in self._places.owners:
                    continue
                key = (each.local_port, self._places.name(each.remote), each.remote_port)
                latest[key] = tuple(each.fields.get(name, 0) for name in _CHANGES)
                if former.get(key) != latest[key]:
                    kept = {name: each.fields[name] for name in _KEPT if name in each.fields}
                    log.add(HostSocket(at, host, *key, kept))
                    self._recorded[host] += 1
            self._last[host] = latest
        log.flush()

    def totals(self) -> Iterable[Counters]:
        """How many lines each host has, and how many sockets were left out."""
        at = self._clock.now()
        for host in self._dumps:
            yield Counters(at, host, "", "", 0, self._recorded[host], 0, self._left_out[host], 0, 0, 0, KIND)

    def close(self) -> None:
        """Take no more samples."""
        self._closing.close()
