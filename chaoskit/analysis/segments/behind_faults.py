"""Which of the packets that were captured twice are those that TCP received.

A fault of this machine on what it receives is behind an ifb: a packet is captured where it comes in, and again where it
leaves the ifb (as an outgoing one, though it comes from the server), if the fault did not lose it. The second is what
TCP received. One that has no second, between others that have, was lost by the fault.
"""

from __future__ import annotations

import numpy as np

from chaoskit.analysis.segments.columns import MS, Bools, Column
from chaoskit.analysis.segments.packets import Packets

_NEAR = 2000 * MS  # ns: a phase without the fault is not much shorter
_MULTIPLIERS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


def as_received(down: Packets) -> Packets:
    """The server's packets as TCP received them, in the order of time."""
    if down.is_outgoing.all() or not down.is_outgoing.any():
        return down
    twins = _twins(down)
    came = np.flatnonzero(~down.is_outgoing)
    has_twin = np.isin(twins[came], twins[down.is_outgoing])
    times = down.at[came]
    before = np.maximum.accumulate(np.where(has_twin, times, times[0] - 2 * _NEAR))
    after = np.minimum.accumulate(np.where(has_twin, times, times[-1] + 2 * _NEAR)[::-1])[::-1]
    was_lost = after - before < _NEAR
    kept: Bools = down.is_outgoing.copy()
    kept[came] = ~(has_twin | was_lost)
    return down.select(kept)


def _twins(down: Packets) -> Column:
    """A number that two captures of one packet share."""
    mixed = down.seq ^ down.length << 32
    for column, multiplier in zip((down.ident, down.tsval, down.flags), _MULTIPLIERS, strict=True):
        mixed = mixed ^ (column * multiplier)
    return mixed
