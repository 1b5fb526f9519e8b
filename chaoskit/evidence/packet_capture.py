"""Writes the headers of the target's packets, as one namespace sent and received them, to a file.

Rules: a block of the kernel's ring is one write(2), so that a kill tears the last one at most; the file is bounded, and
what is beyond its bound is counted as dropped; what was dropped is written within a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from chaoskit import __version__
from chaoskit.clock import Clock, realtime_offset
from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.kernel.packet_ring import CapturedPacket, PacketRing
from chaoskit.records import pcapng

LARGEST = 1 << 28
"""Bytes of a file: about three million packets."""
_SECOND = 10**9
_LAST_BLOCK = 0.25  # s until the ring hands over a block that is not full, and a bit


async def capture(ring: PacketRing, file: CaptureFile, stop: asyncio.Event) -> None:
    """Write what the ring has until `stop` is set, and the last packets before it. Raises RefusedError."""

    def pass_on() -> None:
        for block in ring.read():
            file.add(block)
        file.count(*ring.statistics())

    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def look() -> None:
        try:
            pass_on()
        except RefusedError as error:
            asyncio.get_running_loop().remove_reader(ring.fileno())
            failed.set_exception(error)

    asyncio.get_running_loop().add_reader(ring.fileno(), look)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        stopped.cancel()
        failed.result()
    await asyncio.sleep(_LAST_BLOCK)
    asyncio.get_running_loop().remove_reader(ring.fileno())
    pass_on()
    file.count(0, 0, is_last=True)


class CaptureFile:
    """The file of one capture. Raises RefusedError where it cannot be written."""

    def __init__(self, path: Path, clock: Clock, link_name: Callable[[int], str], largest: int = LARGEST) -> None:
        self._path, self._clock, self._link_name = path, clock, link_name
        self._largest, self._size = largest, 0
        self._links: dict[int, int] = {}
        self._first_offset = self._offset = realtime_offset()
        self._offset_at = self._counted_at = clock.now()
        self._received = self._dropped = self._told = 0
        self._file = self._path.open("xb", buffering=0)
        self._write(pcapng.section(f"chaoskit {__version__}", self._first_offset))

    def add(self, captured: list[CapturedPacket]) -> None:
        """Write the packets of a block; where the file is full, count them."""
        if (now := self._clock.now()) - self._offset_at >= _SECOND:
            self._offset, self._offset_at = realtime_offset(), now
        shift = self._first_offset - self._offset
        new = [index for index in dict.fromkeys(packet[1] for packet in captured) if index not in self._links]
        head = b""
        for index in new:
            self._links[index] = len(self._links)
            head += pcapng.interface(self._link_name(index))
        links = self._links
        blocks = head + pcapng.packets(
            (at + shift, links[link], is_outgoing, length, headers)
            for at, link, is_outgoing, length, headers in captured
        )
        if self._size + len(blocks) > self._largest:
            self._dropped += len(captured)
            for index in new:
                del self._links[index]
        else:
            self._write(blocks)

    def count(self, received: int, dropped: int, is_last: bool = False) -> None:
        """Note what the kernel had since the last call; written once a second where something was dropped."""
        self._received, self._dropped = self._received + received, self._dropped + dropped
        now = self._clock.now()
        is_due = self._dropped > self._told and now - self._counted_at >= _SECOND
        if self._links and (is_last or is_due):
            self._counted_at, self._told = now, self._dropped
            self._write(pcapng.statistics(now + self._first_offset, self._received, self._dropped))

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _write(self, blocks: bytes) -> None:
        written = 0
        try:
            while written < len(blocks):
                written += self._file.write(blocks[written:])
        except OSError as error:
            self._file.truncate(self._size)
            reason = os.strerror(error.errno or 0)
            raise RefusedError(
                f"cannot write {display_path(self._path)}: {reason}; free some space or use --out"
            ) from error
        self._size += written
