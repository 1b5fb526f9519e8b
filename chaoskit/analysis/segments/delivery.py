"""What of a connection's segments could be read, and when: the receiver's side of TCP, again.

Rules: data counts from the first segment on; a segment behind a hole waits until the hole is filled; what our own
acknowledgement covers has arrived, even where the capture does not have it.
"""

from __future__ import annotations

import heapq

import numpy as np

from chaoskit.analysis.segments.columns import Column


def delivered(seq: Column, end: Column, acked: Column) -> Column:
    """How far the data was in order once each segment had arrived. `acked` is what we had acknowledged before it."""
    if not len(seq):
        return seq
    reach = np.maximum(np.maximum.accumulate(end), acked)
    before = np.append(seq[:1], np.maximum(reach[:-1], acked[1:]))
    holes = np.flatnonzero(seq > before)
    if not len(holes):
        return reach
    first = int(holes[0])
    found, edge, waiting = reach.copy(), int(before[first]), list[tuple[int, int]]()
    rows = zip(seq[first:].tolist(), end[first:].tolist(), acked[first:].tolist(), strict=True)
    for row, (begin, until, known) in enumerate(rows, first):
        edge = max(edge, known)
        if begin <= edge:
            edge = max(edge, until)
        elif until > begin:
            heapq.heappush(waiting, (begin, until))
        while waiting and waiting[0][0] <= edge:
            edge = max(edge, heapq.heappop(waiting)[1])
        found[row] = edge
    return found
