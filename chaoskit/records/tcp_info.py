"""Reads the TCP_INFO of a socket as plain integers, on any kernel version.

Rules: `struct tcp_info` (include/uapi/linux/tcp.h) only ever grows at its end, so the returned length decides which
fields exist; a field that was not returned is absent, never 0. Times are in the kernel's units: `rtt`, `rttvar`,
`min_rtt`, `rcv_rtt`, `rto`, `ato`, `busy_time`, `rwnd_limited` and `sndbuf_limited` in microseconds, `last_*` and
`total_rto_time` in milliseconds; rates in bytes per second.

On a socket that mostly receives, only `rcv_ooopack`, `last_data_recv`, `data_segs_in`, `bytes_received`, `rcv_mss` and
the windows are informative: its `rtt` is that of the handshake, and its `total_retrans` counts its own segments.
"""

from __future__ import annotations

import functools
import socket
import struct
import sys

_MAX_SIZE = 512  # bytes asked for; Linux 6.18 has 280

_FIRST_BYTES = ("state", "ca_state", "retransmits", "probes", "backoff", "options")

_LAYOUT: tuple[tuple[str, str], ...] = (  # struct code, names, in the order in which the kernel added them
    ("I", "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets"),
    ("I", "last_data_sent last_ack_sent last_data_recv last_ack_recv pmtu rcv_ssthresh rtt rttvar"),
    ("I", "snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans"),
    ("Q", "pacing_rate max_pacing_rate bytes_acked bytes_received"),  # 4.1
    ("I", "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out"),  # 4.6
    ("Q", "delivery_rate busy_time rwnd_limited sndbuf_limited"),  # 4.10
    ("I", "delivered delivered_ce"),  # 4.18
    ("Q", "bytes_sent bytes_retrans"),  # 4.19
    ("I", "dsack_dups reord_seen rcv_ooopack snd_wnd"),  # 5.4
    ("I", "rcv_wnd rehash"),  # 6.2
    ("H", "total_rto total_rto_recoveries"),  # 6.7
    ("I", "total_rto_time"),
)


_BEGIN = 8  # bytes before them


@functools.cache
def _fields(size: int) -> tuple[struct.Struct, tuple[str, ...]]:
    """The fields that a struct of `size` bytes contains. It has no padding after its first eight bytes."""
    codes, names = "=", list[str]()
    for code, group in _LAYOUT:
        for name in group.split():
            if _BEGIN + struct.calcsize(codes + code) > size:
                return struct.Struct(codes), tuple(names)
            codes += code
            names.append(name)
    return struct.Struct(codes), tuple(names)


def _place(name: str) -> slice:
    """Where a field of four bytes is."""
    known, names = _fields(_MAX_SIZE)
    codes = known.format.lstrip("=")[: names.index(name)]
    begin = _BEGIN + struct.calcsize(f"={codes}")
    return slice(begin, begin + 4)


_SENT_AGAIN = tuple(map(_place, ("total_retrans", "dsack_dups", "reord_seen")))


def parse(raw: bytes) -> dict[str, int]:
    """The fields of `raw`, a `struct tcp_info` of any length, that it contains completely."""
    fields = dict(zip(_FIRST_BYTES, raw, strict=False))
    if len(raw) > 7:
        fields["snd_wscale"] = raw[6] & 15
        fields["rcv_wscale"] = raw[6] >> 4
        fields["delivery_rate_app_limited"] = raw[7] & 1
    known, names = _fields(min(len(raw), _MAX_SIZE))
    fields.update(zip(names, known.unpack_from(raw.ljust(_BEGIN), _BEGIN), strict=True))
    return fields


def retransmits(sock: socket.socket) -> int:
    """The field `retransmits`: consecutive expirations of the retransmission timer. 0 when closed."""
    if sock.fileno() < 0:
        return 0
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[_FIRST_BYTES.index("retransmits")]


def sent_again(sock: socket.socket) -> tuple[int, int, int]:
    """The fields `total_retrans`, `dsack_dups` and `reord_seen`. 0 when closed, or not known."""
    if sock.fileno() < 0:
        return 0, 0, 0
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MAX_SIZE).ljust(_MAX_SIZE, b"\0")
    again, duplicates, reordered = (int.from_bytes(raw[place], sys.byteorder) for place in _SENT_AGAIN)
    return again, duplicates, reordered


def sample(sock: socket.socket) -> dict[str, int]:
    """The TCP_INFO of a connection now; empty when the socket is closed."""
    if sock.fileno() < 0:
        return {}
    return parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MAX_SIZE))
