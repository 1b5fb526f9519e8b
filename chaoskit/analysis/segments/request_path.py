"""How the time from a request to its first token divides: the way up, the server, the way back.

    sent ─── up ──▶ the server's kernel has all of it ─── server ──▶ sends the first token ─── down ──▶ readable

The server's acknowledgement of the request echoes the timestamp of the segment with which the last of it arrived, so
that it is known which transmission that was. Its own timestamp tells when the first token was sent. What both
ways take at least is the handshake's round trip, half for each. Where the token's packet, or one before it, was lost,
what the server's clock tells is when it was sent again: that time is divided like a stall (`cause`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.cause import cause
from chaoskit.analysis.segments.columns import Column
from chaoskit.analysis.segments.gap_evidence import SAME, silence_evidence
from chaoskit.analysis.segments.packets import ACK, SYN
from chaoskit.units import counted


@dataclass(frozen=True)
class RequestPath:
    """The three parts, ns; `sent_again`: segments of the request that had to be; `is_lossy`: of the answer, too.

    `packets` are the numbers in the capture of the request's last segment, the answer to it, and the first token's.
    """

    up: int
    server: int
    down: int
    sent_again: int
    is_lossy: bool
    packets: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """The evidence."""
        again = f"{counted(self.sent_again, 'segment')} of the request had to be sent again" * bool(self.sent_again)
        lost = "packets of the answer were lost" * self.is_lossy
        return "; ".join(filter(None, ("by the packets", again, lost)))


def request_path(segments: Segments, sent: int, first_token: int) -> RequestPath | None:
    """The parts of a request that was sent and got its first token then; None where its packets do not tell."""
    up, down = segments.up, segments.down
    rows = np.flatnonzero((up.length > 0) & (up.at >= sent - SAME) & (up.at <= first_token))
    until = int(np.searchsorted(down.at[segments.deliveries], first_token + SAME, side="right"))
    trip = segments.round_trip or (0 if (up.flags & SYN).any() else None)  # none takes 0 ns but in virtual time
    if not len(rows) or not until or trip is None or not segments.clock.is_believed:
        return None
    token = int(segments.deliveries[until - 1])
    ends = _after(up.seq[rows] + up.length[rows], int(up.seq[rows[0]]))
    whole = int(ends.max())
    acks = np.flatnonzero((down.flags[: token + 1] & ACK != 0) & (down.at[: token + 1] >= up.at[rows[0]]))
    reached = acks[_after(down.ack[acks], int(up.seq[rows[0]])) >= whole]
    if not len(reached):
        return None
    answer = int(reached[0])
    echoed = rows[up.tsval[rows] == down.tsecr[answer]]
    last = int(echoed[-1]) if len(echoed) else int(rows[ends == whole][0])
    begins, counts = np.unique(up.seq[rows], return_counts=True)
    server = max(0, int(segments.clock.sent[token] - up.at[last]) - trip)
    evidence = silence_evidence(segments, answer, token) if answer < token else None
    is_lossy = evidence is not None and bool(evidence.lost or evidence.is_sent_again or evidence.timeouts)
    if evidence is not None and is_lossy:
        server = min(server, cause(evidence).server)
    half = trip // 2
    way_up = int(up.at[last]) - sent + half
    total = first_token - sent
    way_up, server = min(max(way_up, 0), total), min(server, max(0, total - way_up))
    return RequestPath(
        up=way_up,
        server=server,
        down=total - way_up - server,
        sent_again=int((counts - 1).sum()) if len(begins) else 0,
        is_lossy=is_lossy,
        packets=(int(up.number[last]), *(int(down.number[row]) for row in dict.fromkeys((answer, token)))),
    )


def _after(numbers: Column, begin: int) -> Column:
    """How far sequence numbers are behind one."""
    return (numbers - begin + (1 << 31)) % (1 << 32) - (1 << 31)
