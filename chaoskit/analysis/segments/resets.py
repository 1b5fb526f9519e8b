"""Whether a reset came from the far end of the connection, or was forged by something on the way.

The server's kernel resets a connection of its own as it sends anything else of it; who only saw the packets copies what
it must, and no more.

| the reset has                                                | who sent it             |
|--------------------------------------------------------------|-------------------------|
| the next timestamp of the server's clock                     | the far end             |
| the next identification, where the server counts its packets | the far end             |
| another TTL (hop limit) than the server's other packets      | something on the way    |
| the same TTL, and nothing else                               | the far end, probably   |
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.columns import MS

_TICK = MS  # ns, where the server's own is not known
_LATE = 2_000 * MS  # ns by which packets are delayed
_NEXT = 16  # packets that may be missing


class ResetOrigin(NamedTuple):
    """`is_far_end` is None where nothing tells; `is_certain`: its numbers are those of the server's kernel."""

    is_far_end: bool | None
    is_certain: bool
    sentence: str


def reset_origin(segments: Segments, row: int) -> ResetOrigin:
    """Who sent this one of the connection's resets."""
    resets, down = segments.resets, segments.down
    before = int(np.searchsorted(down.at, resets.at[row], side="right")) - 1
    if before < 0:
        return ResetOrigin(None, False, "nothing else of the server was captured to compare the reset with")
    if resets.tsval[row] >= 0 and down.tsval[before] >= 0:
        ticks = _step(int(resets.tsval[row]), int(down.tsval[before]), 32)
        apart = int(resets.at[row] - down.at[before])
        if ticks >= 0 and abs(ticks * (segments.clock.tick or _TICK) - apart) < _LATE:
            return ResetOrigin(True, True, "the reset has the next timestamp of the server's clock")
    if segments.ids.are_believed and 0 < _step(int(resets.ident[row]), int(down.ident[before]), 16) < _NEXT:
        return ResetOrigin(True, True, "the reset has the next number of the server's packets")
    if int(resets.ttl[row]) not in down.ttl[: before + 1]:
        return ResetOrigin(
            False, False, f"the reset came with TTL {resets.ttl[row]}, the server's packets with {down.ttl[before]}"
        )
    return ResetOrigin(True, False, "the reset came as far as the server's packets did, by its TTL")


def _step(after: int, before: int, bits: int) -> int:
    """From one number to another, of so many bits."""
    half = 1 << bits - 1
    return (after - before + half) % (2 * half) - half
