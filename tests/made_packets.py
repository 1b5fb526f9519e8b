"""Captures by hand: the packets of one connection, as a client's namespace would have captured them."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from chaoskit.analysis.segments.captured_connections import Segments, load_capture
from chaoskit.records import pcapng

MS = 1_000_000
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
CLIENT, SERVER = ("10.1.0.1", "fd01::1"), ("10.2.0.1", "fd02::1")
PORT, FAR = 40_000, 8000
OFFSET = 1_700_000_000 * 10**9
"""Of a capture's stamps to the monotonic clock."""


class PacketHeaders(NamedTuple):
    """A packet, as it is written."""

    at: int
    interface: int
    is_outgoing: bool
    length: int
    headers: bytes


@dataclass
class Talk:
    """A connection whose packets are told one by one; times in ms of the capture's monotonic clock.

    The server's identifications and data go on by themselves; a packet that is `lost` counts and is not captured.
    """

    version: int = 4
    port: int = PORT
    trip: float = 40
    tick: float = 1
    has_stamps: bool = True
    ident: int = 65_500
    label: int = 0xABCDE
    ttl: int = 57
    stamp: int = 2**32 - 300
    seq: int = 2**32 - 700
    fault: tuple[float, float, float] = (0, 0, 0)
    """A fault of this machine on what comes in, behind an ifb: from when until when, and by how many ms it delays."""
    found: list[PacketHeaders] = field(default_factory=list)
    acked_by_server: int = 1501
    """The number up to which the server has the request."""
    sent: int = 0
    """Bytes of data that the server had sent."""

    def handshake(self, at: float = 0) -> None:
        """Three packets, and the request."""
        self.up(at, SYN, options=b"\x02\x04\x05\xb4\x01\x03\x03\x07")
        self._down(
            at + self.trip, at + self.trip / 2, SYN | ACK, -1, 0, ident=0, options=b"\x02\x04\x05\xb4\x01\x03\x03\x07"
        )
        self.up(at + self.trip, ACK)
        self.up(at + self.trip, ACK | PSH, length=500)

    def token(
        self,
        sent: float,
        *,
        took: float | None = None,
        lost: bool = False,
        length: int = 200,
        answers: float | None = None,
    ) -> int:
        """New data, sent then, echoing what we sent at `answers`; returns where it begins, for `again`."""
        begin, self.sent = self.sent, self.sent + length
        self._data(sent, begin, length, took, lost, answers)
        return begin

    def again(self, sent: float, begin: int, *, length: int = 200, lost: bool = False) -> None:
        """A retransmission."""
        self._data(sent, begin, length, None, lost)

    def fin(self, at: float, flags: int = FIN | ACK) -> None:
        """The server's side ends, or acknowledges; its number is that of the next data."""
        self._down(at, at - self.trip / 2, flags, self.sent, 0)

    def acknowledge(self, sent: float, answers: float) -> None:
        """The server acknowledges what we sent at `answers`."""
        self._down(sent + self.trip / 2, sent, ACK, self.sent, 0, echoed=answers)

    def forged_reset(self, at: float, ttl: int) -> None:
        """As something on the way makes it: no timestamps, and an identification of its own."""
        kept = self.has_stamps, self.ttl
        self.has_stamps, self.ttl = False, ttl
        self._down(at, at, RST, self.sent, 0, ident=0)
        self.has_stamps, self.ttl = kept

    def up(
        self, at: float, flags: int = ACK, *, length: int = 0, window: int = 500, acked: int = 0, options: bytes = b""
    ) -> None:
        """A packet of the client."""
        ack = self.seq + 1 + acked if flags & ACK else 0
        tcp = self._tcp(self.port, FAR, (1000, ack), flags, window, self._options(at, 0) + options)
        self._add(at, True, 0, tcp, length)

    def _data(
        self, sent: float, begin: int, length: int, took: float | None, lost: bool, answers: float | None = None
    ) -> None:
        if lost:
            self.ident += 1
            return
        arrived = sent + (self.trip / 2 if took is None else took)
        self._down(arrived, sent, PSH | ACK, begin, length, echoed=answers)

    def _down(
        self,
        at: float,
        sent: float,
        flags: int,
        begin: int,
        length: int,
        *,
        ident: int | None = None,
        echoed: float | None = None,
        options: bytes = b"",
    ) -> None:
        heard = sent - self.trip / 2 if echoed is None else echoed
        stamps = self._options(sent / self.tick, self.stamp + int(heard))
        tcp = self._tcp(FAR, self.port, (self.seq + 1 + begin, self.acked_by_server), flags, 500, stamps + options)
        if ident is None:
            ident, self.ident = self.ident, self.ident + 1
        self._add(at, False, ident, tcp, length)
        since, until, delay = self.fault
        if since <= at < until and delay < math.inf:
            self._add(at + delay, False, ident, tcp, length, behind=True)

    def _options(self, ticks: float, echoed: float) -> bytes:
        if not self.has_stamps:
            return b""
        return struct.pack("!HBBII", 0x0101, 8, 10, (self.stamp + int(ticks)) % 2**32, int(echoed) % 2**32)

    def _tcp(
        self, source: int, destination: int, numbers: tuple[int, int], flags: int, window: int, options: bytes
    ) -> bytes:
        options += b"\0" * (-len(options) % 4)
        words = 5 + len(options) // 4
        seq, ack = (number % 2**32 for number in numbers)
        return struct.pack("!HHIIBBHHH", source, destination, seq, ack, words << 4, flags, window, 0, 0) + options

    def _add(self, at: float, is_outgoing: bool, ident: int, tcp: bytes, length: int, behind: bool = False) -> None:
        index = self.version == 6
        ends = [ip_address(side[index]).packed for side in ((CLIENT, SERVER) if is_outgoing else (SERVER, CLIENT))]
        size = len(tcp) + length
        if index:
            ip = struct.pack("!IHBB", 6 << 28 | self.label, size, 6, self.ttl) + b"".join(ends)
        else:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, ident % 2**16, 0x4000, self.ttl, 6, 0) + b"".join(ends)
        self.found.append(PacketHeaders(round(at * MS) + OFFSET, 0, is_outgoing or behind, len(ip) + size, ip + tcp))

    def written(self, folder: Path, dropped: int = 0, start: int = 0) -> Path:
        """The capture as a file, in the order of time; `start` is when it began, ns of the monotonic clock."""
        path = folder / pcapng.CAPTURE
        packets = sorted(self.found, key=lambda packet: packet.at)
        path.write_bytes(
            pcapng.section("chaoskit test", OFFSET - start)
            + pcapng.interface("eth0")
            + pcapng.packets(packets)
            + pcapng.statistics(packets[-1].at, len(packets) + dropped, dropped)
        )
        return path

    def segments(self, folder: Path, dropped: int = 0) -> Segments:
        """The connection as it is read back."""
        found = load_capture(self.written(folder, dropped), [self.port])
        assert found is not None
        (connection,) = found.by_port[self.port]
        return connection
