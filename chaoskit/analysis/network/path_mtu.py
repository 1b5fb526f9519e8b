"""Is the path too small for full segments? What the sockets on both sides tell, phase by phase.

| finding    | what the sender's TCP_INFO shows                                                                  |
|------------|---------------------------------------------------------------------------------------------------|
| black-hole | full segments lost again and again, none acknowledged, while small ones of the same time pass     |
| probed     | its segments became smaller while the path MTU that it knows stayed: MTU probing got it out       |
| signalled  | the path MTU that it knows lies below what it began with: a router said so                        |
| clamped    | segments smaller than its own MTU allows from the handshake on: the other side asked for no more  |
| silence    | the sender is somebody else's server: nothing came any more, and why can only be guessed          |

Where nothing small passed between the first vain retransmission and the last there was no path at all, and
nothing is found; nor where mere loss could have done it (`by_chance`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from chaoskit.analysis.formatting import said
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.directions import DirectionView, Small, over
from chaoskit.analysis.network.loss_odds import at_most
from chaoskit.analysis.network.sender_state import Look, Sender, senders
from chaoskit.analysis.result import Direction, Evidence, PathMtu, PathMtuKind
from chaoskit.analysis.streams.timeline import Span, Timeline
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import ServedResponse, TcpInfo, UnackedSample

_SURE, _LIKELY = 0.001, 0.05  # chances that mere loss did it
_HEADERS, _MOST_HEADERS = 40, 72  # bytes: IPv4 and TCP; IPv6 and TCP with timestamps
_LONGEST_FRAME = 9216  # bytes; a longer MTU is loopback's, where other rules cut segments
_FIRST_PROBE = 1024  # net.ipv4.tcp_base_mss
_NEAR = 0.95  # of a full segment
_FIRST_RTO = 1_000_000  # us; RFC 6298, 2.1
_SILENCE_MS = 1000
_WORST = 5
_GAVE_UP = ("first_token_timeout", "idle_timeout")


def path_mtu(raw: RawRecords, course: Timeline) -> dict[str, tuple[PathMtu, ...]]:
    """The findings of each phase by its name, the worst first."""
    everybody = senders(raw)
    found = {}
    for name in course.names:
        spans = tuple(span for span in course.spans if span.name == name)
        present = [sender for sender in everybody if any(over(span, sender.begin, sender.end) for span in spans)]
        up, down = (_way(raw, course, present, direction, spans) for direction in _DIRECTIONS)
        seen = [*_black_hole(up), *_black_hole(down), *_became_smaller(up), *_became_smaller(down)]
        seen += [*_from_the_start(up), *_from_the_start(down)]
        if not raw.served and (raw.plan is None or raw.plan.server is None):
            seen += [*_silence(up), *_own_limit(up)]
        seen += _certificates(up)
        found[name] = tuple(sorted(seen, key=lambda one: _ORDER.index(one.kind)))
    return found


_DIRECTIONS: tuple[Direction, ...] = ("up", "down")
_ORDER = ("black-hole", "silence", "probed", "signalled", "clamped")


def _way(
    raw: RawRecords, course: Timeline, everybody: Sequence[Sender], direction: Direction, spans: tuple[Span, ...]
) -> DirectionView:
    own = tuple(sender for sender in everybody if sender.direction == direction)
    least = min((sender.looks[0].segment for sender in own), default=0) if direction == "down" else 0
    return DirectionView(
        direction=direction,
        spans=spans,
        course=course,
        requests={request.stream: request for request in raw.requests},
        senders=own,
        receivers=tuple(sender for sender in everybody if sender.direction != direction),
        small=Small(tuple(info.at for info in raw.infos if info.when == "connected"), raw.streams.heard, least),
    )


def _black_hole(way: DirectionView) -> Iterator[PathMtu]:
    held = way.held
    past = sum(one.last.fields.get("sacked", 0) for one in held)
    passing = way.passing() if held else 0
    if not passing and not past:
        return
    deaths = min(one.last.deaths for one in held)
    tally = way.tally()
    chance = at_most(tally.worst(way.survived), tally.tries, len(held), deaths)
    if chance > _LIKELY:
        return
    streams = set[int]().union(*(way.open(one.sender, one.run.begin, one.last.at) for one in held))
    segment = min(one.last.segment for one in held)
    others = len(way.passed(segment) - streams)
    witness = " and ".join([_SMALL[way.direction]] * bool(passing) + ["shorter ones behind them"] * bool(past))
    path, of = max(one.last.path for one in held), len(way.asked | streams)
    yield PathMtu(
        kind="black-hole",
        direction=way.direction,
        streams=len(streams),
        of=of,
        segment=segment,
        path_mtu=path,
        retransmissions=deaths - 1,
        confidence="sure" if chance <= _SURE and not others else "likely",
        reason=_doubt(chance, others),
        evidence=_evidence(_STUCK[way.direction], sum(len(one.run.looks) for one in held), streams),
        sentence=f"{way.direction}: black hole for full segments: {len(streams)} of {of} streams stuck with "
        f"{segment}-byte segments unacknowledged after {deaths - 1} or more retransmissions (path MTU known: {path}), "
        f"while {witness} pass",
    )


_STUCK: dict[Direction, str] = {"up": FILES[TcpInfo], "down": FILES[UnackedSample]}
_SMALL: dict[Direction, str] = {"up": "handshakes", "down": "handshakes or single tokens"}
_ALL: dict[Direction, str] = {"up": FILES[TcpInfo], "down": FILES[ServedResponse]}


def _doubt(chance: float, others: int) -> str:
    if others:
        return f"{others} other streams got segments of that size through: one path of several, or a queue by bytes"
    return "" if chance <= _SURE else f"mere loss would do the same with a chance of up to {said(chance, 'share')}"


def _became_smaller(way: DirectionView) -> Iterator[PathMtu]:
    """Probed: from one look to the next, while the path MTU that the socket knows stayed as it was."""
    steps: list[tuple[Look, Look]] = []
    streams: set[int] = set()
    again = 0
    for sender in way.senders:
        for before, after in zip(sender.looks, sender.looks[1:], strict=False):
            if after.segment < before.segment and after.path == before.path and way.pays(before.since, after.at):
                steps.append((before, after))
                streams |= way.open(sender, before.at, after.at)
                again = max(again, before.deaths - 1)
    if not steps:
        return
    of = len(way.asked | streams)
    before, after = steps[-1]
    yield PathMtu(
        kind="probed",
        direction=way.direction,
        streams=len(streams),
        of=of,
        segment=after.segment,
        path_mtu=after.path,
        retransmissions=again,
        confidence="sure",
        evidence=_evidence(_STUCK[way.direction], 2 * len(steps), streams),
        sentence=f"{way.direction}: black hole left by MTU probing: {len(streams)} of {of} streams went from "
        f"{before.segment}- to {after.segment}-byte segments (path MTU known: {after.path}, as before)",
    )


def _from_the_start(way: DirectionView) -> Iterator[PathMtu]:
    """Signalled and clamped: what one look shows against what the handshake offered."""
    signalled: list[tuple[Look, set[int]]] = []
    clamped: list[tuple[Look, set[int]]] = []
    for sender in way.senders:
        here = [look for look in sender.looks if way.has(look.at) and look.path <= _LONGEST_FRAME]
        streams = way.open(sender, here[0].at, here[-1].at) if here else set()
        told = [look for look in here if look.path < look.offered + _HEADERS]
        if told:
            signalled.append((told[0], streams))
        elif here and here[0] is sender.looks[0] and here[0].segment < here[0].offered:
            clamped.append((here[0], streams))
    if signalled:
        yield _smaller(way, "signalled", signalled)
    if clamped:
        yield _smaller(way, "clamped", clamped)


def _smaller(way: DirectionView, kind: PathMtuKind, found: Sequence[tuple[Look, set[int]]]) -> PathMtu:
    streams = set[int]().union(*(its for _, its in found))
    of = len(way.asked | streams)
    least = min((look for look, _ in found), key=lambda look: look.segment)
    counted = f"{len(streams)} of {of} streams send {least.segment}-byte segments instead of {least.offered}"
    if kind == "signalled":
        told = f"smaller path, signalled: {counted}, as a router said that the path's MTU is {least.path}"
    else:
        told = f"clamp: {counted} from the handshake on, as the other side or something on the way wants it"
        told += f" (path MTU known: {least.path})"
    guessed = kind == "clamped" and least.segment == _FIRST_PROBE
    return PathMtu(
        kind=kind,
        direction=way.direction,
        streams=len(streams),
        of=of,
        segment=least.segment,
        path_mtu=least.path,
        confidence="likely" if guessed else "sure",
        reason="MTU probing that is always on begins with 1024 bytes, too" if guessed else "",
        evidence=_evidence(_ALL[way.direction], len(found), streams),
        sentence=f"{way.direction}: {told}",
    )


def _silence(up: DirectionView) -> Iterator[PathMtu]:
    """What a client can say of a server that it knows nothing of: that it asked in full, and nothing came."""
    found = [(sender, sender.looks[-1]) for sender in up.senders if up.asked & _given_up(up, sender)]
    silent = [(sender, look) for sender, look in found if _is_silent(look)]
    heard = [at for at in up.small.handshakes if any(look.at - _quiet(look) < at < look.at for _, look in silent)]
    if not heard:
        return
    streams = set[int]().union(*(_given_up(up, sender) for sender, _ in silent))
    of, longest = len(up.asked), max(look.fields.get("rcv_mss", 0) for _, look in silent)
    behind = _are_behind_holes(up, silent)
    seen = f"nothing came any more on {len(streams)} of {of} streams, while handshakes pass"
    if behind:
        told = f"black hole for full segments, likely: {seen}; later segments wait behind one that never came"
        reason = f"the server's own TCP_INFO is not to be had; what came had at most {longest} bytes to a segment"
    else:
        told = f"{seen}: whether full segments died or the server fell silent cannot be told from here"
        reason = "only the sender's own TCP_INFO tells them apart, and this server is somebody else's"
    yield PathMtu(
        kind="black-hole" if behind else "silence",
        direction="down",
        streams=len(streams),
        of=of,
        segment=None,
        path_mtu=None,
        confidence="likely" if behind else "none",
        reason=reason,
        evidence=_evidence(FILES[TcpInfo], len(silent), streams),
        sentence=f"down: {told}",
    )


def _certificates(up: DirectionView) -> Iterator[PathMtu]:
    """Whosever the server is: in a TLS handshake its certificates are what fills segments first, and no TCP_INFO of
    that is had from it."""
    failed = {n for n, one in up.requests.items() if one.completion == "connect_failed" and up.has(one.started)}
    silent = [(sender, sender.looks[-1]) for sender in up.senders if failed & set(sender.streams)]
    silent = [(sender, look) for sender, look in silent if _is_silent(look)]
    if not silent or not _are_behind_holes(up, silent):
        return
    streams = failed & set[int]().union(*(sender.streams for sender, _ in silent))
    of = len(up.asked | failed)
    yield PathMtu(
        kind="black-hole",
        direction="down",
        streams=len(streams),
        of=of,
        segment=None,
        path_mtu=None,
        confidence="likely",
        reason="the server's own TCP_INFO is not to be had before there is a request",
        evidence=_evidence(FILES[TcpInfo], len(silent), streams),
        sentence=f"down: black hole for full segments, likely: {len(streams)} of {of} streams had no TLS handshake, "
        "though TCP's pass; the end of the server's certificates waits behind a segment that never came",
    )


def _given_up(way: DirectionView, sender: Sender) -> set[int]:
    return {s for s in sender.streams if s in way.requests and way.requests[s].completion in _GAVE_UP}


def _is_silent(look: Look) -> bool:
    fields = look.fields
    return not fields.get("unacked") and fields.get("last_data_recv", 0) >= _SILENCE_MS


def _quiet(look: Look) -> int:
    return look.fields["last_data_recv"] * 10**6


def _are_behind_holes(up: DirectionView, silent: Sequence[tuple[Sender, Look]]) -> bool:
    """Whether most wait for a segment that mere loss would not have killed so often, for so long.

    A sender that began again after its timer's first R, and doubled it, has sent 1 + log2(1 + t/R) times in t. Its
    R is like ours.
    """
    holes = [(sender, look) for sender, look in silent if _waits_behind_a_hole(sender)]
    if 2 * len(holes) <= len(silent):
        return False
    deaths = min(
        1 + int(math.log2(1 + _quiet(look) / 1000 / max(look.fields.get("rto", _FIRST_RTO), 1))) for _, look in holes
    )
    tries = sum(sender.looks[-1].fields.get("data_segs_in", 0) for sender in up.senders) + len(holes)
    return at_most(up.tally().worst(up.survived), tries, len(holes), deaths) <= _LIKELY


def _waits_behind_a_hole(sender: Sender) -> bool:
    """Whether segments came out of order, and none that was full."""
    first, last = sender.looks[0], sender.looks[-1]
    ooo = "rcv_ooopack"
    return (
        last.fields.get(ooo, 0) > first.fields.get(ooo, 0)
        and last.fields.get("rcv_mss", last.offered) < _NEAR * last.offered
    )


def _own_limit(up: DirectionView) -> Iterator[PathMtu]:
    """Whatever the server is, it sends no larger segments than this side asks for."""
    first = [(sender, sender.looks[0]) for sender in up.senders if up.has(sender.looks[0].at)]
    limited = [(s, look) for s, look in first if look.offered + _MOST_HEADERS < look.path <= _LONGEST_FRAME]
    if not limited:
        return
    streams = set[int]().union(*(up.open(sender, look.at, look.at) for sender, look in limited))
    least, of = min(look.offered for _, look in limited), len(up.asked | streams)
    yield PathMtu(
        kind="clamped",
        direction="down",
        streams=len(streams),
        of=of,
        segment=least,
        path_mtu=None,
        confidence="sure",
        evidence=_evidence(FILES[TcpInfo], len(limited), streams),
        sentence=f"down: clamp: {len(streams)} of {of} streams ask the server for no more than {least}-byte segments",
    )


def _evidence(file: str, count: int, streams: Iterable[int]) -> Evidence:
    return Evidence(file=file, count=count, worst=tuple(sorted(streams))[:_WORST])
