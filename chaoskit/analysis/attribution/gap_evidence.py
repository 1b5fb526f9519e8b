"""Collects what the client's own socket tells of a stall, whatever the server is.

Samples of TCP_INFO are taken when a silence begins to be long, and at the read that ends it. What waits in the socket
meanwhile and cannot be read has arrived behind a segment that is missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.attribution.verdict import GapEvidence, Stall
from chaoskit.analysis.streams.columns import Ints, SignsOfLife
from chaoskit.analysis.streams.gaps import Gap, GapTable
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import TcpInfo

_MS = 1_000_000
_NEAR = 20 * _MS  # ns; a stamp of the kernel may be earlier than the read by as much as a loop is late
_FLIGHTS = 5  # round trips in which what had waited comes: a sender's window grows from one to the next
_NEXT = 5  # tokens
_JOINED = 3  # tokens
_ALONE = 0.7  # share of tokens that come with others; losses join some
_FULL = 0.85  # of a segment
_WHOLE = 0.8  # of the MSS that this client advertises; the way may have less room
_LIKE_IT = 2  # reads, each apart from the one before
_APART = 3 * _MS
_STEADY = 1.5  # times the pace
_AT_LEAST = 30 * _MS  # ns in which what had waited comes, however short the round trip is
_NO_STAMPS: Ints = np.empty(0, dtype=np.int64)
_FOREVER = 1 << 62
_FEW, _MANY = 3, 64  # handshakes
_RECENT, _SOON = 5_000 * _MS, 1_000 * _MS  # ns before a silence, and after it
_MIDDLE = 40 * _MS  # ns from both ends of a silence


class SocketEvidence:
    """The samples and signs of life of a run, by stream; `origin` is when it began, ns."""

    def __init__(self, infos: Iterable[TcpInfo] = (), signs: SignsOfLife | None = None, origin: int = 0) -> None:
        self._origin = origin
        self._samples: Mapping[int, list[TcpInfo]] = defaultdict(list)
        self._round_trips: dict[int, int] = {}
        self._signs = _by_stream(signs) if signs is not None else (_NO_STAMPS, _NO_STAMPS, _NO_STAMPS)
        self._paces: dict[int, int] = {}
        self._sent_again: dict[int, int] = {}  # of the client's own segments, until the first token
        self._first_tokens: dict[int, int] = {}
        self._handshakes: list[tuple[int, int]] = []  # of the whole run: when they ended, their round trips
        for info in infos:
            if info.when == "start":
                self._first_tokens[info.stream] = info.at
            if info.when == "connected" and info.fields.get("rtt", 0) and not info.fields.get("total_retrans", 0):
                self._handshakes.append((info.at, info.fields["rtt"] * 1000))
            if info.when in ("connected", "start") and "total_retrans" in info.fields:
                self._sent_again[info.stream] = info.fields["total_retrans"]
            if info.when in ("silent", "stuck", "resumed"):
                self._samples[info.stream].append(info)
            elif "rtt" in info.fields:
                self._note_round_trip(info)
        self._handshakes.sort()

    def _note_round_trip(self, info: TcpInfo) -> None:
        """Keep the least one. That of a handshake whose SYN or answer was lost has the time until it was sent again."""
        trip = min(info.fields["rtt"], info.fields.get("min_rtt", info.fields["rtt"])) * 1000
        self._round_trips[info.stream] = min(trip, self._round_trips.get(info.stream, trip))

    def of(self, stall: Stall, table: GapTable) -> GapEvidence:
        """What is known of this stall."""
        gap, after = stall.gap, stall.after
        samples = self._samples_in(stall)
        looks = [each for each in samples if each.when != "resumed"]
        round_trip = self._round_trips.get(gap.stream)
        pace = self._pace(gap.stream, table)
        missing = gap.length / pace - 1 if pace else 0.0
        window = max(_AT_LEAST, _FLIGHTS * (round_trip or 0))
        came = _came_after(stall, table, window) if after is not None else _Came()
        missing = min(missing, float(came.left))
        beside = came.span / pace + 1 if pace else 0.0
        return GapEvidence(
            deaf=after.at - after.looked if after is not None else 0,
            waited=any(each.fields.get("rmem_alloc", 0) for each in looks),
            out_of_order=_growth(samples),
            alive=self._was_alive(stall),
            round_trip=round_trip,
            least_round_trip=self._least_round_trip(gap),
            rise=self._rise(gap),
            pace=pace,
            missing=missing,
            caught_up=max(0.0, came.tokens - beside) / missing if missing > 0 else 0.0,
            next_read=came.next_read,
            is_full=came.in_read >= _JOINED
            and _is_full(stall, samples)
            and (self._comes_singly(gap.stream, table) or (came.goes_on_alike and _has_whole_segments(samples))),
            goes_on=came.in_read == 1 and came.longest <= _STEADY * pace,
            samples=tuple(
                f"{FILES[TcpInfo]}: stream {each.stream}, {each.when} at {(each.at - self._origin) / 1e9:.3f} s"
                for each in samples
            ),
        )

    def waited_at_end(self, stream: int) -> bool:
        """Whether something waited for a segment that was missing when the stream was last looked at in a silence."""
        samples = self._samples.get(stream, [])
        return bool(samples) and samples[-1].fields.get("rmem_alloc", 0) > 0

    def was_unanswered(self, stream: int) -> bool:
        """Whether what this client had sent again was still not acknowledged when the stream was last looked at."""
        samples = self._samples.get(stream, [])
        last = samples[-1].fields if samples else {}
        return last.get("unacked", 0) > 0 and last.get("retransmits", 0) > 0

    def had_trouble_before_token(self, stream: int) -> bool:
        """Whether this client's own segments were sent again until the first token, on a connection of its own."""
        return self._sent_again.get(stream, 0) > 0

    def _rise(self, gap: Gap) -> int | None:
        """By how much round trips of handshakes that began in a silence, or soon after, are longer than before it."""
        place = bisect_right(self._handshakes, (gap.begin, _FOREVER))
        before = [trip for at, trip in self._handshakes[max(0, place - _FEW) : place] if at > gap.begin - _RECENT]
        after = [
            trip for at, trip in self._handshakes[place : place + _MANY] if gap.begin < at - trip < gap.end + _SOON
        ]
        return int(np.median(after[:_FEW]) - np.median(before)) if before and after else None

    def _least_round_trip(self, gap: Gap) -> int | None:
        """That of the stream's connection, or of one that was made around that time, before a queue grew."""
        place = bisect_right(self._handshakes, (gap.begin, _FOREVER))
        near = self._handshakes[max(0, place - _MANY) : place + _MANY]
        own = self._round_trips.get(gap.stream)
        trips = [trip for at, trip in near if abs(at - gap.begin) < _RECENT]
        return min(trips if own is None else [*trips, own], default=None)

    def round_trip(self, stream: int) -> int | None:
        """The least one of the stream's connection until the first token, or at its end; ns."""
        return self._round_trips.get(stream)

    def waited_before_token(self, stream: int) -> bool:
        """Whether something of the answer waited for a segment that was missing, when it was looked at."""
        return any(each.fields.get("rmem_alloc", 0) for each in self._samples_before_token(stream))

    def was_answered_in_silence(self, stream: int) -> bool:
        """Whether the far end had all of the request, when for a second nothing had come of the answer."""
        samples = self._samples_before_token(stream)
        return bool(samples) and samples[-1].fields.get("unacked", 1) == 0

    def _samples_before_token(self, stream: int) -> Sequence[TcpInfo]:
        samples = self._samples.get(stream, [])
        until = self._first_tokens.get(stream, 0)
        return [each for each in samples if each.when == "stuck" and each.at < until]

    def _samples_in(self, stall: Stall) -> Sequence[TcpInfo]:
        """Those in the silence, and the one that ended it."""
        samples, gap = self._samples.get(stall.gap.stream, []), stall.gap
        user = gap.end if stall.after is None else stall.after.user
        begin = bisect_right(samples, gap.begin, key=lambda each: each.at)
        end = bisect_right(samples, user, key=lambda each: each.at)
        return [each for each in samples[begin:end] if each.when != "resumed" or each.at > gap.end - _NEAR]

    def _was_alive(self, stall: Stall) -> bool:
        gap, (streams, firsts, lasts) = stall.gap, self._signs
        own = slice(*(int(np.searchsorted(streams, gap.stream, side=side)) for side in ("left", "right")))
        stamps = np.concatenate((firsts[own], lasts[own]))
        return bool(((stamps > gap.begin + _MIDDLE) & (stamps < gap.end - _MIDDLE)).any())

    def _comes_singly(self, stream: int, table: GapTable) -> bool:
        """Whether most tokens of a stream come alone in their reads."""
        first, after = table.rows_of(stream)
        return float(table.is_coalesced[first : after - 1].mean()) < _ALONE

    def _pace(self, stream: int, table: GapTable) -> int:
        """The usual time from one token to the next one that came in another read, ns."""
        if stream not in self._paces:
            first, after = table.rows_of(stream)
            lengths = np.diff(table.at[first:after])[~table.is_coalesced[first : after - 1]]
            self._paces[stream] = max(1, int(np.median(lengths))) if len(lengths) else 0
        return self._paces[stream]


def _by_stream(signs: SignsOfLife) -> tuple[Ints, Ints, Ints]:
    order = np.argsort(signs.stream, kind="stable")
    return signs.stream[order], signs.first[order], signs.last[order]


def _is_full(stall: Stall, samples: Sequence[TcpInfo]) -> bool:
    """Whether the read that ended a stall was one segment of full size."""
    most = max((each.fields.get("rcv_mss", 0) for each in samples), default=0)
    return stall.after is not None and _FULL * most <= stall.after.size <= most


def _has_whole_segments(samples: Sequence[TcpInfo]) -> bool:
    """Whether the largest segments are as large as this client lets them be; else their size is the sender's choice."""
    return any(0 < _WHOLE * each.fields.get("advmss", 0) <= each.fields.get("rcv_mss", 0) for each in samples)


class _Came(NamedTuple):
    """What came from the end of a stall on: tokens within some time, and the time from the first to the last of these.

    `in_read` of them came in the first read, the next read came `next_read` ns later; the stream had `left` more tokens
    than the first one, and the longest step of the next few took `longest` ns. `goes_on_alike`: the next reads had as
    many tokens, each some time after the one before.
    """

    tokens: int = 0
    span: int = 0
    in_read: int = 0
    next_read: int | None = None
    left: int = 0
    longest: int = 0
    goes_on_alike: bool = False


def _came_after(stall: Stall, table: GapTable, window: int) -> _Came:
    first, end = stall.gap.row + 1, table.rows_of(stall.gap.stream)[1]
    at = table.at[first:end]
    tokens = int(np.searchsorted(at, at[0] + window, side="right"))
    others = np.flatnonzero(~table.is_coalesced[first : end - 1])
    return _Came(
        tokens,
        int(at[tokens - 1] - at[0]),
        int(others[0]) + 1 if len(others) else len(at),
        int(at[others[0] + 1] - at[0]) if len(others) else None,
        len(at) - 1,
        int(np.diff(at[: _NEXT + 1]).max(initial=0)),
        _goes_on_alike(at, others),
    )


def _goes_on_alike(at: Ints, lasts: Ints) -> bool:
    """Whether the first reads have about as many tokens each, some time apart; `lasts`: the last token of each read."""
    if len(lasts) <= _LIKE_IT:
        return False
    counts = np.diff(lasts[: _LIKE_IT + 1], prepend=-1)
    steps = at[lasts[:_LIKE_IT] + 1] - at[lasts[:_LIKE_IT]]
    return bool((np.abs(counts - counts[0]) <= 1).all() and (steps > _APART).all())


def _growth(samples: Sequence[TcpInfo]) -> int | None:
    """By how much the count of segments out of order grew from the first sample to the last."""
    counts = [each.fields["rcv_ooopack"] for each in samples if "rcv_ooopack" in each.fields]
    return counts[-1] - counts[0] if len(counts) > 1 else None
