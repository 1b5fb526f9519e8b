"""What of a connection's segments could be read, and when: the receiver's side of TCP, again.

Rules: data counts from the first segment on; a segment behind a hole waits until the hole is filled; what our own
acknowledgement covers has arrived, even where the capture does not have it. A segment whose timestamp is older than
that of one which was read before is thrown away, as if it were of an old connection (PAWS, RFC 7323, section 5): on a
path that changes the order by more than a round trip that is new data, and it has to be sent again.
"""

from __future__ import annotations

import heapq

import numpy as np

from chaoskit.analysis.segments.columns import Column

_OLDER = 1  # ticks: TCP_PAWS_WINDOW of include/net/tcp.h


def delivered(seq: Column, end: Column, acked: Column, tsval: Column) -> Column:
    """How far the data was in order once each segment had arrived. `acked` is what we had acknowledged before it.

    `tsval` are the timestamps, unwrapped; empty where there are none.
    """
    if not len(seq):
        return seq
    reach = np.maximum(np.maximum.accumulate(end), acked)
    before = np.append(seq[:1], np.maximum(reach[:-1], acked[1:]))
    stamps = tsval if len(tsval) else np.zeros(len(seq), dtype=np.int64)
    special = np.flatnonzero((seq > before) | (stamps < np.maximum.accumulate(stamps) - _OLDER))
    if not len(special):
        return reach
    first = int(special[0])
    found, edge, waiting = reach.copy(), int(before[first]), list[tuple[int, int]]()
    recent = int(stamps[:first].max(initial=stamps[0]))
    rows = zip(*(column[first:].tolist() for column in (seq, end, acked, stamps)), strict=True)
    for row, (begin, until, known, stamp) in enumerate(rows, first):
        edge = max(edge, known)
        if stamp < recent - _OLDER:
            pass  # thrown away
        elif begin <= edge:
            edge, recent = max(edge, until), max(recent, stamp)
        elif until > begin:
            heapq.heappush(waiting, (begin, until))
        while waiting and waiting[0][0] <= edge:
            edge = max(edge, heapq.heappop(waiting)[1])
        found[row] = edge
    return found
