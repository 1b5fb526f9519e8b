"""Finds streams that something in between holds back and passes on in pieces, as nginx does.

A stream is held back when its bursts hold three events or more, come at least 50 ms apart, and are pieces that are
alike: of the same size or at the same interval; or when it comes whole, at one moment: 200 ms or more after it was
begun, by the server's stamps, or a second after the request. The network does not do that to data that was sent event
by event: its segments stay as they are. Where segments were lost or arrived out of order nothing is claimed: there the
sender's kernel joins what waits.

| evidence                                                                               | confidence |
|----------------------------------------------------------------------------------------|------------|
| the server's own stamps: it sent the events of a burst apart                           | certain    |
| the client's TCP_INFO: fewer segments with data than events; the server may do it, too | likely     |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np

from chaoskit.analysis.findings import Evidence, FindingConfidence, Intermediary
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.bursts import FEWEST_BURSTS, FEWEST_EVENTS, Bursts
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import SocketRead, TcpInfo
from chaoskit.units import counted

_APART = 200_000_000  # ns, that the server took to send what came at one moment
_PIECES = 50_000_000  # ns, from one piece to the next
_LONG = 1_000_000_000  # ns
_ALIKE = 0.6  # of the bursts
_JOINED = 0.7  # segments for each event
_MAX_WORST = 5
_NGINX = (4000, 4300)  # bytes: a buffer of one page, and the framing
_CORK = (0.18, 0.26)  # s, between HAProxy's pieces: the kernel sends what is corked after 200 ms


def held_back(
    streams: Iterable[Stream],
    bursts: Mapping[int, Bursts],
    infos: Iterable[TcpInfo],
    out_of_order: Set[int],
    hosts: Sequence[str] = (),
) -> tuple[frozenset[int], tuple[Intermediary, ...]]:
    """The numbers of the streams that were held back, and what is to be said of them.

    `hosts` are those that may have done it, where that is known.
    """
    segments = _segments(infos)
    looked_at, held, is_compressed = 0, dict[int, Bursts](), False
    for stream in streams:
        if stream.number in out_of_order or stream.events < FEWEST_EVENTS * FEWEST_BURSTS:
            continue
        looked_at += 1
        own = bursts.get(stream.number)
        is_joined = segments.get(stream.number, 0) < _JOINED * stream.events
        is_compressed = is_compressed or stream.request.coding is not None
        if (
            own is not None
            and (_is_late(own, stream) if own.is_whole else _are_pieces(own))
            and (is_joined or stream.request.http == "HTTP/2")
        ):
            held[stream.number] = own  # on HTTP/2 streams share the segments of a connection
    if not held or len(held) < looked_at / 2:
        return frozenset(), ()
    return frozenset(held), (_finding(held, looked_at, is_compressed, hosts),)


def _segments(infos: Iterable[TcpInfo]) -> Mapping[int, int]:
    """How many segments with data each stream's connection received during it, from its first token on."""
    first: dict[int, int] = {}
    found: dict[int, int] = {}
    for info in infos:
        count = info.fields.get("data_segs_in")
        if count is not None and info.when != "connected":
            found[info.stream] = count - first.setdefault(info.stream, count)
    return found


def _are_pieces(bursts: Bursts) -> bool:
    """Whether these are pieces of something that holds the stream back."""
    return (
        bursts.events >= FEWEST_EVENTS
        and bursts.interval >= _PIECES
        and max(bursts.same_size, bursts.same_interval) >= _ALIKE
        and (bursts.sent_apart is None or bursts.sent_apart >= bursts.interval / 4)
    )


def _is_late(bursts: Bursts, stream: Stream) -> bool:
    """Whether a stream that came whole was sent bit by bit, as far as is known, over a second or more."""
    request = stream.request
    if bursts.sent_apart is not None:
        return bursts.sent_apart >= max(_APART, 10 * bursts.interval)
    return (request.first_token or 0) - (request.sent or request.started) >= max(_LONG, 10 * bursts.interval)


def _finding(held: Mapping[int, Bursts], looked_at: int, is_compressed: bool, hosts: Sequence[str]) -> Intermediary:
    bursts = list(held.values())
    is_certain = all(each.sent_apart is not None for each in bursts)
    size, interval = _median([each.bytes for each in bursts]), _median([each.interval for each in bursts])
    is_same_size = _median([each.same_size for each in bursts]) >= _ALIKE
    confidence: FindingConfidence = "certain" if is_certain else "likely"
    events = f"{_median([each.events for each in bursts]):.0f} events"
    if all(each.is_whole for each in bursts):
        how = f"whole: {size:.0f} bytes, {events}, at one moment"
    else:
        piece = f"{'' if is_same_size else 'about '}{size:.0f} bytes"
        how = f"in pieces of {piece}, {events} every {format_value(interval / MS, 'ms')}"
    whose = " or ".join(hosts) or "something between you and the server"
    return Intermediary(
        kind="buffering",
        host=hosts[0] if len(hosts) == 1 else "",
        streams=len(held),
        of_streams=looked_at,
        seconds=interval / 1e9,
        bytes=round(size),
        confidence=confidence,
        reason="" if is_certain else "the server stamps nothing: it may hold them back itself",
        evidence=Evidence(file=FILES[SocketRead], count=len(held), worst=tuple(sorted(held))[:_MAX_WORST]),
        sentence=(
            f"{len(held)} of {counted(looked_at, 'stream')} came held back by {whose}, {how}: "
            f"{_remedy(size, interval / 1e9, is_same_size, is_compressed)}"
        ),
    )


def _remedy(size: float, seconds: float, is_same_size: bool, is_compressed: bool) -> str:
    if is_compressed:
        return "nginx: gzip off for text/event-stream, and proxy_buffering off"
    if is_same_size and _NGINX[0] <= size <= _NGINX[1]:
        return "nginx: proxy_buffering off"
    if _CORK[0] <= seconds <= _CORK[1]:
        return "HAProxy: option http-no-delay"
    return "nginx: proxy_buffering off; HAProxy: option http-no-delay"


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
