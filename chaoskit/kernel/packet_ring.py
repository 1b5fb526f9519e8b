"""Captures the headers of connections' packets, in both directions, in a ring (TPACKET_V3).

Rules: the kernel filters, cuts off and stamps each packet, and hands over whole blocks of them: no copy and no system
call for a packet; a block that is not full is handed over after a tenth of a second. What finds no room is dropped,
and counted. Stamps are of the real-time clock. See packet(7) and the kernel's packet_mmap.rst.
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address

from chaoskit.errors import RefusedError
from chaoskit.kernel.capture_filter import Endpoint, capture_filter
from chaoskit.kernel.packet_socket import OUTGOING, SOL_PACKET, attach_filter, bind_to_all_links, packet_socket
from chaoskit.topology.steering import IFBS

_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION, _PACKET_IGNORE_OUTGOING = 5, 6, 10, 23  # linux/if_packet.h
_TPACKET_V3 = 2
_BLOCK, _FRAME = 1 << 18, 1 << 11  # bytes
_RETIRE = 100  # ms after which a block that is not full is handed over
_REQUEST = struct.Struct("=7I")  # struct tpacket_req3
# struct tpacket_hdr_v1, from the block's begin: status, packets, the first one, length
_BLOCK_HEAD = struct.Struct("=8xIIII")
_STATUS, _USER, _KERNEL = struct.Struct("=8xI"), 1, 0
_PACKET = struct.Struct("=5I4xHH20x2x2xi2xB")  # struct tpacket3_hdr, and struct sockaddr_ll up to the packet's type
_STATISTICS = struct.Struct("=III")  # struct tpacket_stats_v3


CapturedPacket = tuple[int, int, bool, int, bytes]
"""When, real-time ns; the index of the link; whether it is outgoing; its length; its headers, from IP on.

No class: there may be 100,000 in a second, and each would take a fifth more of a processor."""


class PacketRing:
    """The ring of a network namespace; `blocks` of 256 KiB. Raises RefusedError where it cannot be opened.

    The memory belongs to the socket: a forked child reads it, and need not have opened it.
    """

    def __init__(self, endpoints: Sequence[Endpoint], blocks: int) -> None:
        self._blocks, self._next = blocks, 0
        self._memory: mmap.mmap | None = None
        try:
            self._socket = packet_socket()
        except OSError as error:
            raise refusal(error) from error
        try:
            attach_filter(self._socket, capture_filter(endpoints))
            self._socket.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
            asked = _REQUEST.pack(_BLOCK, blocks, _FRAME, blocks * _BLOCK // _FRAME, _RETIRE, 0, 0)
            self._socket.setsockopt(SOL_PACKET, _PACKET_RX_RING, asked)
            if all(ip_address(address).is_loopback for address, _ in endpoints) and not _has_ifb():
                # The kernel copies each outgoing packet before a filter sees it; of loopback's the filter takes none.
                self._socket.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            bind_to_all_links(self._socket)
        except OSError as error:
            self._socket.close()
            raise refusal(error) from error

    def fileno(self) -> int:
        """The socket's file descriptor, to wait for a block."""
        return self._socket.fileno()

    def read(self) -> Iterator[list[CapturedPacket]]:
        """The packets of each block that waits, at most as many blocks as there are."""
        if self._memory is None:
            self._memory = mmap.mmap(self._socket.fileno(), self._blocks * _BLOCK)
        for _ in range(self._blocks):
            base = self._next * _BLOCK
            status, count, first, length = _BLOCK_HEAD.unpack_from(self._memory, base)
            if not status & _USER:
                return
            yield _packets(self._memory[base : base + length], count, first)
            _STATUS.pack_into(self._memory, base, _KERNEL)
            self._next = (self._next + 1) % self._blocks

    def statistics(self) -> tuple[int, int]:
        """How many packets there were since the last call, and how many of them found no room."""
        raw = self._socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        count, dropped, _ = _STATISTICS.unpack(raw)
        return count, dropped

    def close(self) -> None:
        """Capture no more."""
        if self._memory is not None:
            self._memory.close()
        self._socket.close()


def _has_ifb() -> bool:
    """Whether a fault delays what comes in behind an ifb, which it leaves as an outgoing packet."""
    return any(name in IFBS.values() for _, name in socket.if_nameindex())


def link_names() -> Callable[[int], str]:
    """Names the links that this thread's namespace has now, wherever it is asked; of another one, its number."""
    names = dict(socket.if_nameindex())
    return lambda index: names.get(index, f"link {index}")


def refusal(error: OSError) -> RefusedError:
    """What is told where no packet can be captured."""
    if error.errno == errno.EPERM:
        return RefusedError("capturing packets needs CAP_NET_RAW, which you do not have")
    return RefusedError(f"packets cannot be captured here: {error.strerror}")


def _packets(block: bytes, count: int, place: int) -> list[CapturedPacket]:
    found = []
    unpack = _PACKET.unpack_from
    for _ in range(count):
        step, seconds, nanoseconds, kept, length, _, network, link, kind = unpack(block, place)
        begin = place + network
        headers = block[begin : begin + kept]
        found.append((seconds * 1_000_000_000 + nanoseconds, link, kind == OUTGOING, length, headers))
        place += step
    return found
