"""What a connection's packets tell of one gap between tokens.

A gap is looked at by its longest silence: the time between two segments with which data became readable. The packets
of that time are told apart by when they were sent, which the sender's clock tells, and in which order, which its ids
tell:

    before      ... the last segment that was read before the silence
    first       the first segment that arrived after it, which may have to wait behind a hole
    after       the segment that ended it, and made readable what had waited
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.columns import MS, Column
from chaoskit.analysis.segments.packets import FIN, RST, SYN

Ending = Literal["segment", "fin", "nothing"]
SAME = MS
"""Between the stamp of a read and that of its segment, ns."""
_TOGETHER = 3 * MS  # ns between segments that were sent at once
_ROUND_TRIP = 0.6  # of one; a segment that arrives so much later was sent after our acknowledgement of the one before
_TIMER = (180 * MS, 280 * MS)  # ns: Linux waits at least 200 ms more than a round trip (TCP_RTO_MIN), and ticks
_PACED, _PACED_SPREAD = 5, 1.6
_FAR_BACK = 32  # segments before a gap
_USUAL = 50 * MS
_SINGLE, _JOINED = 0.25, 1.5  # quantile of lengths; times that length
_FULL = 0.95  # of the most data of one packet
_SOON = 30 * MS  # ns
_SMALL = 536  # bytes: the least that a segment may be long everywhere


@dataclass(frozen=True)
class WireEvidence:
    """What is known of a gap; times in ns, None: not known.

    `ending`: what ended it. `packets` are the numbers in the capture of the last packet before the silence, the first
    one after it, and the one that ended it. `silence` is the longest one in the gap, `until_first` its part until
    anything arrived. `sent_apart`: how far apart the sender's kernel sent the packets before and first.

    `lost`: packets that were sent between these two and never arrived; `overtaken`: those that arrived later. `hole`:
    how many segments of usual length were missing before the first one. `is_sent_again`: the segment that ended it had
    been sent before; `timeouts`: how often the sender's retransmission timer ran out, `timeouts_first` until the first
    one was sent. `waited`: segments that waited behind the hole. `restarted`: one segment came alone, as after a
    timeout.

    `delay`: by how much the first packet was longer on its way than the fastest one; `delay_before`: the one before.
    `is_clocked`: texts had waited in the sender's kernel, which sent them once our acknowledgements allowed;
    `was_limited`: data was in flight, so that they may have had to.
    `is_paced`: segments came one after the other at a steady rate, each as long after the one before as it is long.
    `is_window_closed`: we had told the sender that we had no room. `usual`: the sender's usual time between segments.
    `doubts` say what cannot be believed on this connection.
    """

    ending: Ending
    packets: tuple[int, ...] = ()
    silence: int = 0
    until_first: int = 0
    sent_apart: int | None = None
    lost: int | None = None
    overtaken: int | None = None
    hole: int = 0
    is_sent_again: bool = False
    timeouts: int | None = None
    timeouts_first: int | None = None
    waited: int = 0
    restarted: bool = False
    delay: int | None = None
    delay_before: int | None = None
    is_rising: bool = False
    is_clocked: bool = False
    was_limited: bool | None = None
    is_paced: bool = False
    is_window_closed: bool = False
    round_trip: int | None = None
    usual: int = _USUAL
    dropped: int = 0
    doubts: tuple[str, ...] = ()


def gap_evidence(segments: Segments, begin: int, end: int) -> WireEvidence:
    """What the packets between these two stamps, of the tokens around a gap, tell."""
    at = segments.down.at
    times = at[segments.deliveries]
    start = int(np.searchsorted(times, begin + SAME, side="right"))
    stop = int(np.searchsorted(times, end + SAME, side="right"))
    if stop <= start or start == 0:
        return WireEvidence(
            "nothing",
            silence=end - begin,
            is_window_closed=is_window_closed(segments, begin, end),
            round_trip=segments.round_trip,
            dropped=segments.dropped,
            doubts=_doubts(segments),
        )
    place = start - 1 + int(np.argmax(np.diff(times[start - 1 : stop])))
    before, after = (int(row) for row in segments.deliveries[place : place + 2])
    return silence_evidence(segments, before, after)


def silence_evidence(segments: Segments, before: int, after: int) -> WireEvidence:
    """What the packets tell of the time between two deliveries; these are their rows among the server's packets."""
    return _Silence(segments, before, after, _doubts(segments)).evidence()


def _doubts(segments: Segments) -> tuple[str, ...]:
    return tuple(filter(None, (segments.clock.doubt, segments.ids.doubt)))


@dataclass(frozen=True)
class _Silence:
    """The time between two deliveries, by the rows of their packets."""

    segments: Segments
    before: int
    after: int
    doubts: tuple[str, ...]

    def evidence(self) -> WireEvidence:
        segments, before, after = self.segments, self.before, self.after
        at, first = segments.down.at, self._first()
        sent = segments.clock.sent
        delays = at - sent if segments.clock.is_believed else None
        lost, overtaken = self._missing(first)
        in_flight = self._in_flight(first) if segments.clock.is_believed else None
        changes = segments.label_changes
        is_end = bool(segments.down.flags[after] & FIN) and segments.down.length[after] == 0
        return WireEvidence(
            "fin" if is_end else "segment",
            packets=tuple(int(segments.down.number[row]) for row in dict.fromkeys((before, first, after))),
            silence=int(at[after] - at[before]),
            until_first=int(at[first] - at[before]),
            sent_apart=None if delays is None else max(0, int(sent[first] - self._sent_before())),
            lost=lost,
            overtaken=overtaken,
            hole=self._hole(first),
            is_sent_again=self._is_sent_again(),
            timeouts=int(changes[after] - changes[before]) if len(changes) else None,
            timeouts_first=int(changes[first] - changes[before]) if len(changes) else None,
            waited=int((segments.seq[before + 1 : after] > segments.delivered[before]).sum()),
            restarted=self._restarted(),
            delay=None if delays is None else int(delays[first]),
            delay_before=None if delays is None else int(delays[before]),
            is_rising=delays is not None and _is_rising(delays[max(0, before - _PACED) : before + 1]),
            is_clocked=delays is not None and self._is_clocked(first, int(delays[first])),
            was_limited=None if in_flight is None else in_flight > 0,
            is_paced=self._is_paced(),
            is_window_closed=is_window_closed(segments, int(at[before]), int(at[after])),
            round_trip=segments.round_trip,
            usual=self._usual(),
            dropped=segments.dropped,
            doubts=self.doubts,
        )

    def _first(self) -> int:
        """The packet with new data after the silence began that was sent first; the end, where only our ACK tells.

        Without numbers that tell what was sent first, the one that arrived first.
        """
        segments, edge = self.segments, self.segments.delivered[self.before]
        new = self.before + 1 + np.flatnonzero(segments.end[self.before + 1 : self.after + 1] > edge)
        if not len(new):
            return self.after
        if segments.clock.is_believed:
            return int(new[np.argmin(segments.clock.sent[new])])
        return int(new[np.argmin(segments.ids.counts[new])]) if segments.ids.are_believed else int(new[0])

    def _sent_before(self) -> int:
        """When the last of what had been read before the silence was sent; it may have overtaken other data."""
        segments = self.segments
        near = slice(max(0, self.before + 1 - _FAR_BACK), self.before + 1)
        was_read = segments.end[near] <= segments.delivered[self.before]
        return int(segments.clock.sent[near][was_read].max(initial=segments.clock.sent[self.before]))

    def _missing(self, first: int) -> tuple[int | None, int | None]:
        """Of the packets that were sent between the one before and the first: the lost ones, those that came later."""
        ids = self.segments.ids
        if not ids.are_believed:
            return None, None
        counts, parts = ids.counts, self.segments.parts
        low = int((counts + parts)[: self.before + 1][-_FAR_BACK:].max())
        high = int(counts[first])
        near = slice(max(0, self.before - _FAR_BACK), first + 1 + 8 * _FAR_BACK)
        inside = (counts[near] >= low) & (counts[near] < high)
        later = np.arange(len(counts))[near] > first
        came_before, came_later = int(parts[near][inside & ~later].sum()), int(parts[near][inside & later].sum())
        return max(0, high - low - came_before - came_later), came_later

    def _hole(self, first: int) -> int:
        missing = int(self.segments.seq[first] - self.segments.delivered[self.before])
        if missing <= 0:
            return 0
        return max(1, round(missing / self._usual_length()))

    def _is_sent_again(self) -> bool:
        """Whether later data had been sent before the segment that ended the silence."""
        segments, after = self.segments, self.after
        rows = np.arange(self.before, after)
        later = rows[segments.seq[self.before : after] > segments.seq[after]]
        if not len(later):
            return False
        if segments.ids.are_believed:
            return bool((segments.ids.counts[later] < segments.ids.counts[after]).any())
        if segments.clock.is_believed:
            return bool((segments.clock.sent[later] < segments.clock.sent[after]).any())
        return False

    def _restarted(self) -> bool:
        """Whether one segment came alone, as a retransmission after a timeout does.

        Either the rest follows our acknowledgement of it, a round trip later, for a window begins with one segment; or,
        where segments were lost before, it came as long after the one before as a timer takes, and nothing with it.
        """
        segments, trip, after = self.segments, self.segments.round_trip, self.after
        if trip is None or trip < 2 * _TOGETHER:
            return False
        rows = np.arange(after + 1, min(len(segments.seq), after + 1 + _FAR_BACK))
        rows = rows[segments.end[rows] > segments.seq[rows]]
        if not len(rows):
            return False
        wait = int(segments.down.at[rows[0]] - segments.down.at[after])
        at_once = rows[segments.down.at[rows] - segments.down.at[rows[0]] < _TOGETHER]
        is_more = int(segments.down.length[at_once].sum()) >= 2 * self._usual_length()
        is_end = bool((segments.down.flags[at_once] & FIN != 0).any())
        if _ROUND_TRIP * trip < wait < 2 * trip and (is_more or is_end):
            return True
        usual = self._usual()
        timer = int(segments.down.at[after] - segments.down.at[self.before]) - usual - trip
        return wait > 2 * usual + _TOGETHER and _TIMER[0] < timer < _TIMER[1] and segments.is_lossy

    def _usual_length(self) -> float:
        """How long segments usually are, by those before the gap."""
        lengths = self.segments.down.length[max(0, self.before - _FAR_BACK) : self.before + 1]
        return float(np.median(lengths[lengths > 0])) if (lengths > 0).any() else float(self.segments.mss)

    def _is_clocked(self, first: int, delay: int) -> bool:
        """Whether the first packet has what had been written before, and was sent once our acknowledgement came.

        One with nothing in flight sends at once: the acknowledgement that its packet echoes came long before. As long
        as something is in flight, it may have to wait for more of them.
        """
        segments, in_flight = self.segments, self._in_flight(first)
        if in_flight is None or not (self._is_joined(first) or (in_flight > 0 and self._continues(first))):
            return False
        answered = int(segments.down.at[first] - segments.up.at[self._echoed(first)[-1]])
        return in_flight > 0 or answered < (segments.round_trip or 0) + delay + _SOON

    def _in_flight(self, row: int) -> int | None:
        """How much data the sender had not seen acknowledged when it sent this packet, bytes: its echo tells."""
        segments, echoed = self.segments, self._echoed(row)
        if not len(echoed):
            return None
        sent = segments.clock.sent
        acked = int(segments.acked_at(segments.up.at[echoed[-1:]])[0])
        return max(0, int(segments.end[sent < sent[row]].max(initial=acked)) - acked)

    def _echoed(self, row: int) -> Column:
        """The rows of our packets of which this packet echoes the timestamp."""
        up, down = self.segments.up, self.segments.down
        return np.flatnonzero((up.tsval == down.tsecr[row]) & (up.at < down.at[row]))

    def _is_joined(self, row: int) -> bool:
        """Whether a packet has several texts, by how long it is; most have one, unless they always come joined."""
        lengths = self.segments.down.length
        if not lengths[row]:
            return False
        return bool(lengths[row] >= _JOINED * np.quantile(lengths[lengths > 0], _SINGLE))

    def _continues(self, row: int) -> bool:
        """Whether the packet before it in the data was full: what did not fit there had been written, too."""
        segments = self.segments
        before = np.flatnonzero(segments.end == segments.seq[row])
        return bool((segments.down.length[before] >= _FULL * segments.mss).any())

    def _is_paced(self) -> bool:
        """Whether the segments around the end took as long as they are long, none of them with room to spare."""
        segments = self.segments
        rows = np.arange(max(1, self.after - _PACED), min(len(segments.seq), self.after + _PACED + 1))
        rows = rows[segments.down.length[rows] > 0]
        if len(rows) < _PACED:
            return False
        apart = np.diff(segments.down.at[rows])
        rates = segments.down.length[rows[1:]] / np.maximum(apart, 1)
        return bool((apart > _TOGETHER).all() and rates.max() < _PACED_SPREAD * rates.min())

    def _usual(self) -> int:
        """The sender's usual time between new segments."""
        moments = self.segments.clock.sent if self.segments.clock.is_believed else self.segments.down.at
        apart = np.diff(moments[self.segments.deliveries])
        return int(np.median(apart)) if len(apart) else _USUAL


def _is_rising(delays: Column) -> bool:
    """Whether each packet was longer on its way than the one before: a queue that fills."""
    return len(delays) >= _PACED and bool((np.diff(delays) >= 0).all()) and int(delays[-1] - delays[0]) > 10 * MS


def is_window_closed(segments: Segments, begin: int, end: int) -> bool:
    """Whether we told the sender that there was no room for a segment, while the gap lasted or just before it.

    A sender does not send less than a segment into a small window (RFC 9293, section 3.8.6.2.1).
    """
    up = segments.up
    last = max(0, int(np.searchsorted(up.at, begin, side="right")) - 1)
    rows = slice(last, int(np.searchsorted(up.at, end, side="right")))
    windows = up.window[rows] << segments.scale
    return bool(((windows < min(segments.mss, _SMALL)) & (up.flags[rows] & (SYN | RST | FIN) == 0)).any())
