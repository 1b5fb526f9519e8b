"""Follows each sender's TCP_INFO, sample by sample: up is the client's socket, down the server's.

A retransmission run is a sequence of samples of a connection that sends the same bytes again and again: the
retransmission timer expired twice or more, the unacknowledged bytes fill a segment, and all of them are lost except
what was selectively acknowledged. Its transmissions are the first one and the retransmissions; their times follow from
the timer's doubling (RFC 6298, 5.5): when it is R after n of them, the last was `last_data_sent` ago and the first
R (1 - 2^(1-n)) before that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaoskit.analysis.findings import Direction
from chaoskit.analysis.load import RawRecords

_MS, _US = 1_000_000, 1_000
_TIMESTAMP_BYTES, _HAS_TIMESTAMPS = 12, 1  # RFC 7323, and two of padding; linux/tcp.h: TCPI_OPT_TIMESTAMPS
_MIN_TIMEOUTS = 2  # in a row, of a retransmission run
_FULL = 0.95  # of a segment
_NEEDED = {"bytes_sent", "bytes_retrans", "unacked", "last_data_sent", "rto"}  # to tell whether a sender is stuck

Fields = Mapping[str, int]


def timestamp_bytes(fields: Fields) -> int:
    """Bytes of TCP's timestamps in each segment of this socket, which its MSS does not count."""
    return _TIMESTAMP_BYTES if fields.get("options", 0) & _HAS_TIMESTAMPS else 0


class TcpInfoSample(NamedTuple):
    """TCP_INFO of a sender at one time."""

    at: int
    fields: Fields

    @property
    def snd_mss(self) -> int:
        """Bytes that a full segment carries."""
        return self.fields.get("snd_mss", 0)

    @property
    def pmtu(self) -> int:
        """The path MTU that the socket has."""
        return self.fields.get("pmtu", 0)

    @property
    def advmss(self) -> int:
        """The MSS in bytes that this side advertised in its handshake: all that its own link and route allow."""
        return self.fields.get("advmss", 0)

    @property
    def bytes_acked(self) -> int:
        """Bytes acknowledged so far."""
        return self.fields.get("bytes_acked", 0)

    @property
    def transmissions(self) -> int:
        """How often in a row the oldest unacknowledged segment was sent."""
        return self.fields.get("retransmits", 0) + 1

    @property
    def is_stuck(self) -> bool:
        """Whether full segments may be lost every time."""
        fields = self.fields
        if fields.get("retransmits", 0) < _MIN_TIMEOUTS or not fields.get("lost") or not fields.keys() >= _NEEDED:
            return False
        flight = fields["bytes_sent"] - fields["bytes_retrans"] - self.bytes_acked
        lost, sacked = fields["lost"], fields.get("sacked", 0)
        arrived = flight - lost * self.snd_mss  # bytes at least, of those acknowledged out of order
        return (
            flight >= self.snd_mss and lost + sacked == fields["unacked"] and arrived <= _FULL * sacked * self.snd_mss
        )

    @property
    def stuck_since(self) -> int:
        """When what it shows began: with the first retransmission of a run, else at the sample."""
        return self.retransmission_span[0] if self.is_stuck else self.at

    @property
    def retransmission_span(self) -> tuple[int, int]:
        """When the first and the last retransmission of this run were sent, ns."""
        _, first, *rest = self.transmission_times
        return first, rest[-1] if rest else first

    @property
    def transmission_times(self) -> tuple[int, ...]:
        """When the oldest unacknowledged segment was sent, first and again, ns."""
        last, timer = self.at - self.fields["last_data_sent"] * _MS, self.fields["rto"] * _US
        count = self.fields["retransmits"]
        return tuple(last - round(timer * (1 - 2.0 ** (number - count))) for number in range(count + 1))


def growth(samples: Sequence[TcpInfoSample], name: str) -> int:
    """By how much a count grew from the first to the last of these samples."""
    return max(0, samples[-1].fields.get(name, 0) - samples[0].fields.get(name, 0))


class RetransmissionRun(NamedTuple):
    """Samples of the same bytes being retransmitted; `after` is the next sample with more bytes acknowledged."""

    samples: tuple[TcpInfoSample, ...]
    after: TcpInfoSample | None

    @property
    def begin(self) -> int:
        """When the first retransmission was sent."""
        return self.samples[0].retransmission_span[0]


@dataclass(frozen=True)
class Sender:
    """One side of one connection: the streams that used it, and its samples, in order."""

    direction: Direction
    streams: tuple[int, ...]
    samples: tuple[TcpInfoSample, ...]

    @property
    def begin(self) -> int:
        """The first sample's stamp."""
        return self.samples[0].at

    @property
    def end(self) -> int:
        """The last sample's stamp."""
        return self.samples[-1].at

    @property
    def runs(self) -> Iterator[RetransmissionRun]:
        """The retransmission runs, in order."""
        stuck: list[TcpInfoSample] = []
        for sample in self.samples:
            if stuck and sample.bytes_acked > stuck[-1].bytes_acked:
                yield RetransmissionRun(tuple(stuck), sample)
                stuck = []
            if sample.is_stuck:
                stuck.append(sample)
        if stuck:
            yield RetransmissionRun(tuple(stuck), None)


def senders(raw: RawRecords) -> list[Sender]:
    """All senders of a run, the client's first."""
    connections = {request.stream: request.connection for request in raw.requests if request.connection is not None}
    up = ((info.stream, TcpInfoSample(info.at, info.fields)) for info in raw.infos)
    return [*_by_connection("up", up, connections), *_by_connection("down", _server_samples(raw), connections)]


def _server_samples(raw: RawRecords) -> Iterator[tuple[int, TcpInfoSample]]:
    for served in raw.served:
        if served.stream is not None:
            yield served.stream, TcpInfoSample(served.received, served.tcp_info_at_start)
            yield served.stream, TcpInfoSample(served.ended, served.tcp_info)
    for unacked in raw.unacked:
        yield unacked.stream, TcpInfoSample(unacked.at, unacked.fields)


def _by_connection(
    direction: Direction, samples: Iterable[tuple[int, TcpInfoSample]], connections: Mapping[int, int]
) -> Iterator[Sender]:
    """Senders by connection; a stream whose connection was not recorded is alone."""
    seen: dict[tuple[bool, int], list[tuple[int, TcpInfoSample]]] = defaultdict(list)
    for stream, sample in samples:
        if sample.snd_mss:
            seen[stream in connections, connections.get(stream, stream)].append((stream, sample))
    for _, found in sorted(seen.items()):
        yield Sender(direction, tuple(sorted({stream for stream, _ in found})), _ordered(found))


def _ordered(found: Sequence[tuple[int, TcpInfoSample]]) -> tuple[TcpInfoSample, ...]:
    return tuple(sorted((sample for _, sample in found), key=lambda sample: sample.at))
