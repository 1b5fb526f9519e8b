"""Finds path MTU trouble of full segments, phase by phase, from the TCP_INFO of both sides.

| finding    | what the sender's TCP_INFO shows                                                                  |
|------------|---------------------------------------------------------------------------------------------------|
| black-hole | full segments lost every time, none acknowledged, while small packets pass at the same time       |
| probed     | its MSS became smaller while its path MTU did not change: MTU probing (RFC 4821) found a way      |
| signalled  | its path MTU is below the initial one: a router sent an ICMP "too big" error                      |
| clamped    | an MSS smaller than its own MTU allows from the handshake on: the other side advertised it        |
| silence    | nothing: the server is not the reference server, and no more data arrived, for an unknown reason  |

Where no small packet passed between the first unacknowledged retransmission and the last there was no path at all, and
nothing is found; nor where random loss could explain it (`loss_odds`). What the client's side alone shows is in
`foreign_server`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaoskit.analysis.findings import Direction, FindingConfidence, PathMtu, PathMtuKind
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.connection_faults import silences
from chaoskit.analysis.network.directions import DirectionView, SmallArrivals, overlaps
from chaoskit.analysis.network.foreign_server import BLACK_HOLE, certificates, evidence, odds, silence
from chaoskit.analysis.network.loss_odds import CERTAIN, UNLIKELY, chance_bound
from chaoskit.analysis.network.sender_state import Sender, TcpInfoSample, senders
from chaoskit.analysis.streams.timeline import Span, Timeline
from chaoskit.knobs import Clamp
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import ServedResponse, TcpInfo, UnackedSample
from chaoskit.units import counted

_HEADERS, _MOST_HEADERS = 40, 72  # bytes: IPv4 and TCP; IPv6 and TCP with timestamps
_MAX_FRAME = 9216  # bytes; only loopback has a larger MTU, and it segments by other rules
_OPTIONS = 12  # bytes of TCP's timestamps, which the MSS of a handshake includes
_SOMEBODY = "as the other side or a middlebox set the MSS"
_FIRST_PROBE = 1024  # net.ipv4.tcp_base_mss


def path_mtu(raw: RawRecords, timeline: Timeline) -> dict[str, tuple[PathMtu, ...]]:
    """The findings of each phase by name, the worst first."""
    all_senders = senders(raw)
    found = {}
    for name in timeline.names:
        spans = tuple(span for span in timeline.spans if span.name == name)
        present = [sender for sender in all_senders if any(overlaps(span, sender.begin, sender.end) for span in spans)]
        up, down = (_view(raw, timeline, present, direction, spans) for direction in _DIRECTIONS)
        holes = () if silences(raw.plan, name) else (*_black_hole(up), *_black_hole(down))
        found_here = [*holes, *_became_smaller(up), *_became_smaller(down)]
        found_here += [*_from_the_start(up), *_from_the_start(down)]
        if not raw.served and (raw.plan is None or raw.plan.server is None):
            found_here += [*silence(up), *_own_limit(up)]
        found_here += certificates(up)
        found_here = [_with_own_cause(each, _own_clamps(raw, name)) for each in found_here]
        found[name] = tuple(sorted(found_here, key=lambda each: _ORDER.index(each.kind)))
    return found


def _own_clamps(raw: RawRecords, name: str) -> dict[str, int]:
    """What the plan itself limits segments with in this phase: the words for it, and the bytes."""
    if raw.plan is None:
        return {}
    own: dict[str, int] = {}
    for end, host in (("client", raw.plan.client), ("server", raw.plan.server)):
        if host is not None and host.maxseg is not None:
            own[f"maxseg of the {end}"] = host.maxseg
    for phase in raw.plan.phases:
        for change in phase.changes if phase.name == name else ():
            if isinstance(change.setting, Clamp):
                own["the mss-clamp that is in force"] = change.setting.mss
    return own


def _with_own_cause(finding: PathMtu, own: Mapping[str, int]) -> PathMtu:
    """A clamp with the cause that the experiment itself has, instead of a guess."""
    segment = finding.segment or 0
    causes = [words for words, size in own.items() if segment <= size <= segment + _OPTIONS]
    if finding.kind != "clamped" or not causes:
        return finding
    sentence = finding.sentence.replace(_SOMEBODY, f"by {causes[0]}")
    return finding.model_copy(update={"sentence": sentence, "confidence": "certain", "reason": ""})


_DIRECTIONS: tuple[Direction, ...] = ("up", "down")
_ORDER = ("black-hole", "silence", "probed", "signalled", "clamped")


def _view(
    raw: RawRecords, timeline: Timeline, all_senders: Sequence[Sender], direction: Direction, spans: tuple[Span, ...]
) -> DirectionView:
    own = tuple(sender for sender in all_senders if sender.direction == direction)
    least = min((sender.samples[0].snd_mss for sender in own), default=0) if direction == "down" else 0
    return DirectionView(
        direction=direction,
        spans=spans,
        timeline=timeline,
        requests={request.stream: request for request in raw.requests},
        senders=own,
        receivers=tuple(sender for sender in all_senders if sender.direction != direction),
        small=SmallArrivals(
            tuple(info.at for info in raw.infos if info.when == "connected"), raw.streams.arrivals, least
        ),
    )


def _black_hole(view: DirectionView) -> Iterator[PathMtu]:
    stuck = view.stuck
    sacked = sum(each.last.fields.get("sacked", 0) for each in stuck)
    small_pass = view.small_packets_pass() if stuck else 0
    if not small_pass and not sacked:
        return
    chance = chance_bound(view.loss_tally(), [view.independent_losses(each.last) for each in stuck])
    if chance > UNLIKELY:
        return
    transmissions = min(each.last.transmissions for each in stuck)
    streams = set[int]().union(*(view.open_streams(each.sender, each.run.begin, each.last.at) for each in stuck))
    segment = min(each.last.snd_mss for each in stuck)
    others = len(view.streams_passing(segment) - streams)
    witness = " and ".join([_SMALL[view.direction]] * bool(small_pass) + ["shorter ones behind them"] * bool(sacked))
    path, of = max(each.last.pmtu for each in stuck), len(view.streams_sent | streams)
    confidence: FindingConfidence = "certain" if chance <= CERTAIN and not others else "likely"
    yield PathMtu(
        kind="black-hole",
        direction=view.direction,
        streams=len(streams),
        of_streams=of,
        segment=segment,
        path_mtu=path,
        retransmissions=transmissions - 1,
        confidence=confidence,
        reason=_limits(chance, others),
        evidence=evidence(_STUCK[view.direction], sum(len(each.run.samples) for each in stuck), streams),
        sentence=f"{view.direction}: {BLACK_HOLE[confidence]}: {len(streams)} of {counted(of, 'stream')} stuck with "
        f"{segment}-byte segments unacknowledged after {transmissions - 1} or more retransmissions (path MTU: {path}), "
        f"while {witness} pass",
    )


_STUCK: dict[Direction, str] = {"up": FILES[TcpInfo], "down": FILES[UnackedSample]}
_SMALL: dict[Direction, str] = {"up": "handshakes", "down": "handshakes or single tokens"}
_ESCAPED: dict[FindingConfidence, str] = {
    "certain": "black hole escaped by MTU probing",
    "likely": "black hole, likely, escaped by MTU probing",
    "none": "MTU probing after losses, as random loss explains too",
}
_SAMPLED: dict[Direction, str] = {"up": FILES[TcpInfo], "down": FILES[ServedResponse]}


def _limits(chance: float, others: int) -> str:
    passed = f"segments of that size passed on {counted(others, 'other stream')}"
    limits = [f"{passed}: one path of several, or a queue by bytes"]
    return "; ".join(limits * bool(others) + [odds(chance)] * (chance > CERTAIN))


def _became_smaller(view: DirectionView) -> Iterator[PathMtu]:
    """Probed: the MSS became smaller from one sample to the next, while the socket's path MTU did not change."""
    reductions: list[tuple[TcpInfoSample, TcpInfoSample]] = []
    streams: set[int] = set()
    retransmissions = 0
    for sender in view.senders:
        for before, after in zip(sender.samples, sender.samples[1:], strict=False):
            if (
                after.snd_mss < before.snd_mss
                and after.pmtu == before.pmtu
                and view.charged_span(before.stuck_since, after.at)
            ):
                reductions.append((before, after))
                streams |= view.open_streams(sender, before.at, after.at)
                retransmissions = max(retransmissions, before.transmissions - 1)
    if not reductions:
        return
    of = len(view.streams_sent | streams)
    stuck = [before for before, _ in reductions if before.is_stuck]
    chance = chance_bound(view.loss_tally(), [view.independent_losses(before) for before in stuck])
    confidence: FindingConfidence = "certain" if chance <= CERTAIN else "likely" if chance <= UNLIKELY else "none"
    before, after = reductions[-1]
    yield PathMtu(
        kind="probed",
        direction=view.direction,
        streams=len(streams),
        of_streams=of,
        segment=after.snd_mss,
        path_mtu=after.pmtu,
        retransmissions=retransmissions,
        confidence=confidence,
        reason="" if chance <= CERTAIN else odds(chance),
        evidence=evidence(_STUCK[view.direction], 2 * len(reductions), streams),
        sentence=f"{view.direction}: {_ESCAPED[confidence]}: {len(streams)} of {counted(of, 'stream')} went from "
        f"{before.snd_mss}- to {after.snd_mss}-byte segments (path MTU unchanged: {after.pmtu})",
    )


def _from_the_start(view: DirectionView) -> Iterator[PathMtu]:
    """Signalled and clamped: a sample against what the handshake advertised."""
    signalled: list[tuple[TcpInfoSample, set[int]]] = []
    clamped: list[tuple[TcpInfoSample, set[int]]] = []
    for sender in view.senders:
        here = [sample for sample in sender.samples if view.contains(sample.at) and sample.pmtu <= _MAX_FRAME]
        streams = view.open_streams(sender, here[0].at, here[-1].at) if here else set()
        below_own = [sample for sample in here if sample.pmtu < sample.advmss + _HEADERS]
        if below_own:
            signalled.append((below_own[0], streams))
        elif here and here[0] is sender.samples[0] and here[0].snd_mss < here[0].advmss:
            clamped.append((here[0], streams))
    if signalled:
        yield _smaller(view, "signalled", signalled)
    if clamped:
        yield _smaller(view, "clamped", clamped)


def _smaller(view: DirectionView, kind: PathMtuKind, found: Sequence[tuple[TcpInfoSample, set[int]]]) -> PathMtu:
    streams = set[int]().union(*(its for _, its in found))
    of = len(view.streams_sent | streams)
    least = min((sample for sample, _ in found), key=lambda sample: sample.snd_mss)
    sizes = f"{len(streams)} of {counted(of, 'stream')} sent {least.snd_mss}-byte segments instead of {least.advmss}"
    if kind == "signalled":
        text = f"smaller path MTU, signalled: {sizes}, as a router reported an MTU of {least.pmtu}"
    else:
        text = f"clamp: {sizes} from the handshake on, {_SOMEBODY}"
        text += f" (path MTU: {least.pmtu})"
    is_ambiguous = kind == "clamped" and least.snd_mss == _FIRST_PROBE
    return PathMtu(
        kind=kind,
        direction=view.direction,
        streams=len(streams),
        of_streams=of,
        segment=least.snd_mss,
        path_mtu=least.pmtu,
        confidence="likely" if is_ambiguous else "certain",
        reason="net.ipv4.tcp_mtu_probing=2 starts with 1024 bytes, too" if is_ambiguous else "",
        evidence=evidence(_SAMPLED[view.direction], len(found), streams),
        sentence=f"{view.direction}: {text}",
    )


def _own_limit(up: DirectionView) -> Iterator[PathMtu]:
    """Any server: it sends no larger segments than the MSS that the client advertises."""
    first = [(sender, sender.samples[0]) for sender in up.senders if up.contains(sender.samples[0].at)]
    limited = [(s, sample) for s, sample in first if sample.advmss + _MOST_HEADERS < sample.pmtu <= _MAX_FRAME]
    if not limited:
        return
    streams = set[int]().union(*(up.open_streams(sender, sample.at, sample.at) for sender, sample in limited))
    least, of = min(sample.advmss for _, sample in limited), len(up.streams_sent | streams)
    yield PathMtu(
        kind="clamped",
        direction="down",
        streams=len(streams),
        of_streams=of,
        segment=least,
        path_mtu=None,
        confidence="certain",
        evidence=evidence(FILES[TcpInfo], len(limited), streams),
        sentence=f"down: clamp: {len(streams)} of {counted(of, 'stream')} advertised an MSS of {least} bytes to "
        "the server",
    )
