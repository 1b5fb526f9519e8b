"""Whose it was that a stream ended before its time, by the packets until then and those after it.

A client that gives up closes its connection, and its FIN is a question: a kernel answers it at once, and the answer's
sequence number counts all that was ever sent, also what was lost.

| what is seen, the first that holds                                   | whose                                  |
|----------------------------------------------------------------------|----------------------------------------|
| a reset that the far end sent (`resets`)                             | the server's                           |
| a reset that came from another distance                              | that of something in between           |
| the server's FIN, and all before it                                  | the server's                           |
| we had said that we had no room                                      | the client's                           |
| segments waited behind a hole to the end                             | the network's: loss                    |
| our request was sent again and again, and never acknowledged         | the network's: black hole, on the way up |
| the answer to our FIN lies beyond what had arrived                   | the network's: black hole              |
| it does not: nothing had been sent that did not arrive               | the server's                           |
| instead of it the data came that was missing                         | by when it was sent (`cause`)          |
| no answer within a second, though the capture went on, without drops | the network's: black hole              |
| anything else                                                        | unknown                                |

A machine that is gone does not answer either, as if the path were dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.segments.captured_connections import NOT_KNOWN, Segments
from chaoskit.analysis.segments.cause import CERTAIN, LIKELY, WEAK, Side, WireCause, WireKind, all_of, cause, shown
from chaoskit.analysis.segments.columns import MS, Column
from chaoskit.analysis.segments.gap_evidence import SAME, is_window_closed, silence_evidence
from chaoskit.analysis.segments.packets import ACK, FIN, RST
from chaoskit.analysis.segments.resets import reset_origin
from chaoskit.units import counted

_PATIENCE = 1_000 * MS  # ns within which a kernel answers, also when one packet is lost
_LATEST = 30_000 * MS  # ns after the end: what comes later has another story


class Death(NamedTuple):
    """The verdict, and the numbers of the packets in the capture that it rests on."""

    told: WireCause
    packets: tuple[int, ...]


def death(segments: Segments, ended: int) -> Death:
    """The verdict about a stream that ended then, and was not whole."""
    return _Death(segments, ended).judged()


@dataclass(frozen=True)
class _Death:
    segments: Segments
    ended: int

    def judged(self) -> Death:
        segments, ended = self.segments, self.ended
        down = segments.down
        count = int(np.searchsorted(down.at, ended + SAME, side="right"))  # of the packets until then
        numbers = (int(down.number[count - 1]),) if count else ()
        resets = np.flatnonzero(segments.resets.at <= ended + SAME)
        if len(resets):
            return self._of_reset(int(resets[0]), numbers)
        edge = int(segments.delivered[count - 1]) if count else None
        if edge is not None and (down.flags[:count] & FIN != 0).any() and segments.end[:count].max() <= edge:
            words = f"the server's side closed the connection (FIN) after {shown(self._silence(count))} without data"
            return Death(self._told("server", LIKELY, words), numbers)
        if is_window_closed(segments, ended - self._silence(count), ended):
            return Death(self._told("client", CERTAIN, "the client had told the server that it had no room"), numbers)
        if edge is not None and (waiting := int((segments.seq[:count] > edge).sum())):
            words = f"{counted(waiting, 'segment')} waited behind a hole to the end"
            return Death(self._told("network", CERTAIN, words, "loss"), numbers)
        if self._is_request_lost(count):
            words = "the request was sent again and again, and the server's side never acknowledged it"
            return Death(self._told("network", CERTAIN, words, "black-hole"), numbers)
        return self._by_answer(count, edge, numbers)

    def _of_reset(self, row: int, numbers: tuple[int, ...]) -> Death:
        origin = reset_origin(self.segments, row)
        sides: dict[bool | None, Side] = {True: "server", False: "between", None: "unknown"}
        confidence = CERTAIN if origin.is_certain else WEAK
        told = self._told(sides[origin.is_far_end], confidence, f"the connection was reset; {origin.sentence}")
        return Death(told, (*numbers, int(self.segments.resets.number[row])))

    def _by_answer(self, count: int, edge: int | None, numbers: tuple[int, ...]) -> Death:
        """By what came of the server after the end."""
        segments, down = self.segments, self.segments.down
        rows = range(count, int(np.searchsorted(down.at, self.ended + _LATEST)))
        known = max(NOT_KNOWN if edge is None else edge, int(segments.acked_at(np.array([self.ended]))[0]))
        for row in rows if known != NOT_KNOWN else ():
            begin, end = int(segments.seq[row]), int(segments.end[row])
            both = (*numbers, int(down.number[row]))
            after = shown(int(down.at[row]) - self.ended)
            if begin > known:
                words = f"{begin - known} bytes that the server had sent never arrived: it answered from beyond them"
                return Death(self._told("network", CERTAIN, f"{words}, {after} after the end", "black-hole"), both)
            if begin == known and not down.length[row]:
                words = f"the server's kernel answered {after} after the end: it had sent nothing that did not arrive"
                return Death(self._told("server", CERTAIN, words), both)
            if end > known:
                return Death(self._of_late_data(count, row), both)
        asked = self._asked(count)
        if asked and not segments.dropped and segments.until - int(asked[0]) > _PATIENCE:
            words = f"the server's side answered none of the {counted(len(asked), 'packet')} that asked it"
            confidence = LIKELY if len(asked) > 1 else WEAK
            return Death(self._told("network", confidence, words, "black-hole"), numbers)
        words = "nothing more arrived: a server that hangs and a path that died look alike here"
        if segments.dropped:
            words = f"no answer was captured, but the capture itself dropped {counted(segments.dropped, 'packet')}"
        return Death(all_of("unknown", 0, 0.0, words), numbers)

    def _of_late_data(self, count: int, row: int) -> WireCause:
        """What had been missing came after the end: it is judged like a stall that it would have ended."""
        before = self.segments.deliveries[self.segments.deliveries < count]
        if not len(before):
            return all_of("unknown", 0, 0.0, "the first data came after the end")
        return cause(silence_evidence(self.segments, int(before[-1]), row))

    def _is_request_lost(self, count: int) -> bool:
        """Whether data that we sent again was never acknowledged."""
        up, down = self.segments.up, self.segments.down
        rows = np.flatnonzero((up.length > 0) & (up.at <= self.ended + SAME))
        if not len(rows):
            return False
        acks = down.ack[:count][down.flags[:count] & ACK != 0]
        if not len(acks):
            acks = up.seq[rows[:1]]  # not even the first byte
        beyond = _signed(up.seq[rows] + up.length[rows] - int(acks[-1]))
        begins = up.seq[rows[beyond > 0]]
        return len(begins) > len(np.unique(begins))

    def _asked(self, count: int) -> list[int]:
        """When we sent what a kernel must answer, since its last packet until we were done."""
        up, down = self.segments.up, self.segments.down
        last = int(down.at[count - 1]) if count else 0
        asks = (up.at > last) & (up.length > 0) | (up.flags & FIN != 0) & (up.at > last)
        return [int(at) for at in up.at[asks & (up.flags & RST == 0)]]

    def _silence(self, count: int) -> int:
        begins = self.segments.deliveries[self.segments.deliveries < count]
        since = int(self.segments.down.at[begins[-1]]) if len(begins) else self.segments.begin
        return max(0, self.ended - since)

    def _told(self, side: Side, confidence: float, sentence: str, kind: WireKind | None = None) -> WireCause:
        time = self._silence(int(np.searchsorted(self.segments.down.at, self.ended + SAME, side="right")))
        return all_of(side, time, confidence, sentence, kind)


def _signed(steps: Column) -> Column:
    return (steps + (1 << 31)) % (1 << 32) - (1 << 31)
