"""Tests whether a long request body gets through, on a real TCP connection observed by TCP_INFO.

The request announces one byte more than it sends, and the connection is reset at the end, so that no server acts on it.
The body is stuck when the kernel has retransmitted the same bytes three times in a row, with exponential backoff, and
none is acknowledged.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from chaoskit.clock import Clock
from chaoskit.pathmtu.probes import SECOND, Endpoints
from chaoskit.pathmtu.transport import Budget
from chaoskit.records import tcp_info

BODY_SIZE = 16_384  # bytes of body
_STUCK_TIMEOUT = 4 * SECOND
_PROBING_TIMEOUT = 12 * SECOND  # with tcp_mtu_probing, TCP recovers by itself after some seconds
_CONNECT_TIMEOUT = 3 * SECOND
_POLL_INTERVAL = SECOND // 50
_US = SECOND // 1_000_000
_STUCK_RETRANSMISSIONS = 3  # retransmissions in a row
_CLOSED = 7  # net/tcp_states.h: TCP_CLOSE
_TIMESTAMPS, _STAMP = 1, 12  # linux/tcp.h: TCPI_OPT_TIMESTAMPS, and the bytes that it takes from each segment
_RESERVE = 12  # packets besides the body: handshake, retransmissions, reset

Ending = Literal["taken", "stuck", "slow", "cut", "refused", "silent", "unsent"]


@dataclass(frozen=True)
class Body:
    """The outcome of a request of `asked` bytes, of which `acked` were acknowledged.

    `taken`: all acknowledged, or enough to prove that full packets got through · `stuck`: retransmitted in vain ·
    `slow`: neither within the time · `cut`: the server closed before either · `refused`, `silent`: no connection ·
    `unsent`: not enough packets were left. `size` is the largest packet that TCP sends there now; `mss` is what the
    host offered, None if other limits hide it; `why` is the system's error message.
    """

    ending: Ending
    asked: int = 0
    acked: int = 0
    size: int | None = None
    mss: int | None = None
    why: str = ""


def send_body(endpoints: Endpoints, host: str, budget: Budget, clock: Clock, is_probing: bool = False) -> Body:
    """Connect, send, watch, reset. Counts the packets sent. `is_probing`: this machine's TCP probes for MTUs."""
    if budget.left < 2 * _RESERVE:
        return Body("unsent")
    family = socket.AF_INET if endpoints.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.settimeout(max(1, min(_CONNECT_TIMEOUT, budget.until - clock.now())) / SECOND)
        try:
            sock.connect((endpoints.target, endpoints.port))
        except ConnectionRefusedError as error:
            budget.sent += 1
            return Body("refused", why=error.strerror or "refused")
        except ConnectionResetError as error:  # after the handshake, before connect() returned
            budget.sent += 2
            return Body("cut", why=error.strerror or "reset")
        except OSError as error:
            budget.sent += max(1, tcp_info.sample(sock).get("segs_out", 1))
            return Body("silent", why=error.strerror or "timed out")
        sock.setblocking(False)
        length = min(BODY_SIZE, (budget.left - _RESERVE) * tcp_info.sample(sock)["snd_mss"])
        limits = _Limits(_PROBING_TIMEOUT, 99) if is_probing else _Limits(_STUCK_TIMEOUT, _STUCK_RETRANSMISSIONS)
        until = min(clock.now() + limits.length, budget.until)
        request = _request(host, length)
        ending, info = _watch(sock, request, limits.retransmissions, until, clock)
        if ending in ("taken", "slow"):
            info = _drain(sock, info, budget.until, clock)
        budget.sent += info["segs_out"] + _resets(info)
    return _body(endpoints, ending, len(request), info)


@dataclass(frozen=True)
class _Limits:
    length: int
    retransmissions: int


def _request(host: str, length: int) -> bytes:
    head = (
        f"POST / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: chaoskit pmtu\r\nConnection: close\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {length + 1}\r\n\r\n"
    )
    return head.encode() + b" " * length


def _watch(
    sock: socket.socket, request: bytes, retransmissions: int, until: int, clock: Clock
) -> tuple[Ending, dict[str, int]]:
    """Send everything and poll TCP_INFO until the outcome is known."""
    rest = memoryview(request)
    while True:
        with suppress(OSError):  # full, or closed: TCP_INFO below has it
            rest = rest[sock.send(rest) :] if rest else rest
        info = tcp_info.sample(sock)
        acked = info["bytes_acked"] - 1  # the SYN is one
        if acked >= len(request):
            return "taken", info
        if info["unacked"] and info["retransmits"] >= retransmissions:
            return "stuck", info
        if info["state"] == _CLOSED or clock.now() >= until:
            is_plenty = acked >= 2 * info["snd_mss"]
            return "taken" if is_plenty else "cut" if info["state"] == _CLOSED else "slow", info
        clock.sleep_until(clock.now() + _POLL_INTERVAL)


def _drain(sock: socket.socket, info: dict[str, int], until: int, clock: Clock) -> dict[str, int]:
    """Wait up to two round trips for outstanding ACKs: each one that finds no socket is answered by another reset,
    and retransmitted bytes are acknowledged twice."""
    until = min(until, clock.now() + 2 * info["rtt"] * _US)
    while (info["unacked"] or info["total_retrans"]) and info["state"] != _CLOSED and clock.now() < until:
        clock.sleep_until(min(until, clock.now() + _POLL_INTERVAL))
        info = tcp_info.sample(sock)
    return info


def _resets(info: dict[str, int]) -> int:
    """How many resets are sent: none if the host has closed; two if the host challenges the first one, because its
    sequence number is beyond what it has received (RFC 5961, 3.2)."""
    if info["state"] == _CLOSED:
        return 0
    return 2 if info["unacked"] else 1


def _body(endpoints: Endpoints, ending: Ending, asked: int, info: dict[str, int]) -> Body:
    mss = info["snd_mss"] + (_STAMP if info["options"] & _TIMESTAMPS else 0)
    size = endpoints.size_of(mss)
    is_the_hosts = size < info["pmtu"] and 2 * mss < info.get("snd_wnd", 0)  # TCP also keeps to half a window
    return Body(ending, asked, max(0, info["bytes_acked"] - 1), size, mss if is_the_hosts else None)
