"""Whether the far end counts its packets: IPv4's identification, and IPv6's flow label.

A connected TCP socket of Linux gives each packet that it sends the next identification (net/ipv4/ip_output.c,
`ip_select_ident_segs`), so those that are missing here were sent and lost, also when nothing came in between. IPv6 has
none; but Linux draws a new flow label for a connection whose retransmission timer has run out (net/ipv4/tcp_timer.c,
`sk_rethink_txhash`), so a change of the label tells of that.

| not believed                | because                                                                    |
|-----------------------------|----------------------------------------------------------------------------|
| 0, or all the same          | the sender, or something in between, does not count                        |
| far apart                   | they are random                                                            |
| missing without a loss      | others are counted as well: segments that were sent one at once after the  |
|                             | other, in order, with identifications that are missing between them        |
| labels that change often    | they are not drawn by connection                                           |
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chaoskit.analysis.segments.columns import Bools, Column, no_column

_FEWEST = 8  # packets
_NEAR = 256
_MOST_FAR, _MOST_SAME, _LEAST_NEXT, _LEAST_NEXT_AT_ONCE = 0.05, 0.05, 0.6, 0.85
_MOST_CHANGES = 0.2


@dataclass(frozen=True, eq=False)
class PacketIds:
    """`counts` has the number of each packet in the order in which it was sent; empty where `doubt` says why not."""

    counts: Column = field(default_factory=no_column)
    doubt: str = ""

    @property
    def are_believed(self) -> bool:
        """Whether packets are counted."""
        return not self.doubt


def packet_ids(ident: Column, seq: Column, end: Column, parts: Column, is_at_once: Bools) -> PacketIds:
    """The counts of these packets by their identifications, unwrapped.

    Each has data from `seq` to `end` and is made of so many `parts`. `is_at_once`: it was sent so soon after the one
    before it that it cannot be a retransmission.
    """
    if len(ident) < _FEWEST:
        return PacketIds(doubt="the connection has too few packets to tell whether they are counted")
    steps = np.diff(ident)
    if not steps.any():
        return PacketIds(doubt="the server's packets are not counted: their identification is always the same")
    if (np.abs(steps) > _NEAR).mean() > _MOST_FAR:
        return PacketIds(doubt="the server's packets are not counted: their identifications are random")
    if (steps == 0).mean() > _MOST_SAME:
        return PacketIds(doubt="the server's packets are not counted: their identifications repeat")
    in_order = (seq[1:] == end[:-1]) & (end[1:] > seq[1:])
    is_next = steps <= parts[:-1]
    at_once = in_order & is_at_once[1:]
    if _share(is_next, in_order) < _LEAST_NEXT or _share(is_next, at_once) < _LEAST_NEXT_AT_ONCE:
        return PacketIds(doubt="the server counts packets of other connections as well")
    return PacketIds(ident)


def label_changes(label: Column) -> Column:
    """How often the flow label had changed when each packet arrived; empty where that tells nothing."""
    if not len(label) or label[0] <= 0:
        return no_column()
    changes = np.append(0, np.cumsum(label[1:] != label[:-1]))
    return changes if changes[-1] <= max(2, _MOST_CHANGES * len(label)) else no_column()


def _share(found: Bools, among: Bools) -> float:
    count = int(among.sum())
    return 1.0 if count < _FEWEST else float((found & among).sum() / count)
