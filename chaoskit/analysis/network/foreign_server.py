"""Finds path MTU trouble of another's server from the client's side alone.

No more data arrives, while handshakes pass.

| what the client's TCP_INFO shows                                                          | finding              |
|-------------------------------------------------------------------------------------------|----------------------|
| most silent streams wait for a segment that is missing, later ones arrived, and no full   | black-hole, likely   |
| one did, more often than random loss explains (`loss_odds`)                                |                      |
| anything else                                                                              | silence, cause open  |

What loss takes on the way down is seen in what is small: handshakes whose SYN was sent again, or failed, and segments
of other connections that arrived out of order. How often the missing segment was sent follows from its sender's timer,
of at least 1 s (RFC 6298, 2.4), which doubles: Linux has a shorter one, so it was sent more often, not less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from chaoskit.analysis.findings import Evidence, FindingConfidence, PathMtu
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.network.directions import DirectionView
from chaoskit.analysis.network.loss_odds import CERTAIN, UNLIKELY, LossTally, chance_bound
from chaoskit.analysis.network.sender_state import Sender, TcpInfoSample, growth
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import TcpInfo
from chaoskit.units import counted

BLACK_HOLE: dict[FindingConfidence, str] = {
    "certain": "black hole for full segments",
    "likely": "black hole for full segments, likely",
}
_NEAR = 0.95  # of a full segment
_MAX_FRAME = 9216  # bytes; only loopback has a larger MTU
_MIN_RTO = 1_000_000_000  # ns
_MS, _US = 1_000_000, 1_000
_SILENCE_MS = 1000
_MAX_WORST = 5
_TIMEOUTS = ("first_token_timeout", "idle_timeout", "abandoned")
_SilentSenders = Sequence[tuple[Sender, TcpInfoSample]]


def silence(up: DirectionView) -> Iterator[PathMtu]:
    """Requests were acknowledged in full, and then no answer, or no more of it, arrived."""
    silent = [(sender, sample) for sender, sample in _silent(up) if _timed_out(up, sender)]
    if not any(up.small.any_between(_silent_since(sample) + 1, sample.at) for _, sample in silent):
        return
    streams = set[int]().union(*(_timed_out(up, sender) for sender, _ in silent))
    of, longest = len(up.streams_sent | streams), max(sample.fields.get("rcv_mss", 0) for _, sample in silent)
    chance = _chance(up, silent)
    is_hole = chance is not None and chance <= UNLIKELY
    found_here = f"no more data arrived on {len(streams)} of {counted(of, 'stream')}, while handshakes pass"
    if is_hole and chance is not None:
        text = f"{BLACK_HOLE['likely']}: {found_here}; later segments wait behind one that never arrived"
        reason = (
            f"the server's TCP_INFO is not available; the largest segment that arrived has {longest} bytes; "
            f"{odds(chance)}"
        )
    else:
        text = f"{found_here}: full segments were lost or the server sent nothing, the client cannot tell which"
        reason = "only the server's own TCP_INFO would tell, and it is not available"
        if chance is not None:
            text = f"{found_here}: later segments wait behind one that was lost, by its size or by chance"
            reason = f"{odds(chance)}; {reason}"
    yield PathMtu(
        kind="black-hole" if is_hole else "silence",
        direction="down",
        streams=len(streams),
        of_streams=of,
        segment=None,
        path_mtu=None,
        confidence="likely" if is_hole else "none",
        reason=reason,
        evidence=evidence(FILES[TcpInfo], len(silent), streams),
        sentence=f"down: {text}",
    )


def certificates(up: DirectionView) -> Iterator[PathMtu]:
    """Any server: the certificates of its TLS handshake are the first full segments, and it records no TCP_INFO for
    them."""
    failed = {n for n, each in up.requests.items() if each.completion == "connect_failed"}
    silent = [(sender, sample) for sender, sample in _silent(up) if failed & set(sender.streams)]
    chance = _chance(up, silent)
    if chance is None or chance > UNLIKELY:
        return
    streams = failed & set[int]().union(*(sender.streams for sender, _ in silent))
    of = len(up.streams_sent | streams | {n for n in failed if up.contains(up.requests[n].started)})
    yield PathMtu(
        kind="black-hole",
        direction="down",
        streams=len(streams),
        of_streams=of,
        segment=None,
        path_mtu=None,
        confidence="likely",
        reason=f"the server's TCP_INFO is not available before the first request; {odds(chance)}",
        evidence=evidence(FILES[TcpInfo], len(silent), streams),
        sentence=f"down: {BLACK_HOLE['likely']}: {len(streams)} of {counted(of, 'stream')} completed no TLS handshake, "
        "while TCP handshakes pass; the last of the server's certificates waits behind a lost segment",
    )


def odds(chance: float) -> str:
    """The probability that random loss explains a finding, for people."""
    if chance <= CERTAIN:
        return "random loss explains it with a probability below 1 in a million"
    return f"random loss explains it with a probability of up to {format_value(chance, 'share')}"


def evidence(file: str, count: int, streams: Iterable[int]) -> Evidence:
    """So many records of a file, and the first of the streams."""
    return Evidence(file=file, count=count, worst=tuple(sorted(streams))[:_MAX_WORST])


def _silent(up: DirectionView) -> Iterator[tuple[Sender, TcpInfoSample]]:
    """Senders that wait for more data in silence that is charged to this phase, with their last sample.

    Not those on loopback, where no path can lose full segments.
    """
    for sender in up.senders:
        last = sender.samples[-1]
        if last.advmss <= _MAX_FRAME and _is_silent(last) and up.charged_span(_silent_since(last), last.at):
            yield sender, last


def _timed_out(view: DirectionView, sender: Sender) -> set[int]:
    return {s for s in sender.streams if s in view.requests and view.requests[s].completion in _TIMEOUTS}


def _is_silent(sample: TcpInfoSample) -> bool:
    fields = sample.fields
    return not fields.get("unacked") and fields.get("last_data_recv", 0) >= _SILENCE_MS


def _silent_since(sample: TcpInfoSample) -> int:
    return sample.at - sample.fields["last_data_recv"] * _MS


def _chance(up: DirectionView, silent: _SilentSenders) -> float | None:
    """A bound on the probability that random loss explains the missing segments.

    None unless most wait for one.
    """
    holes = [(sender, sample) for sender, sample in silent if _waits_behind_a_hole(sender)]
    if 2 * len(holes) <= len(silent):
        return None
    tally = _down_tally(up, {id(sender) for sender, _ in holes})
    return chance_bound(tally, [_independent_losses(up, sample) for _, sample in holes])


def _independent_losses(up: DirectionView, sample: TcpInfoSample) -> int:
    """How often the missing segment was lost, where something small passed since the loss before.

    The later segments that arrived are the first; then handshakes.
    """
    timer = max(sample.fields.get("rto", 0) * _US, _MIN_RTO)
    times = [_silent_since(sample)]
    while times[-1] + timer <= sample.at:
        times.append(times[-1] + timer)
        timer *= 2
    passed = sum(up.small.any_between(*pair) for pair in pairwise(times[1:]))
    return 1 + (len(times) > 1) + passed


def _down_tally(up: DirectionView, holes: set[int]) -> LossTally:
    """What arrived and what was lost of everything small on the way down."""
    arrived = lost = 0
    connected = set[int]()
    for sender in up.senders:
        connected |= set(sender.streams)
        here = [sample for sample in sender.samples if up.contains(sample.at)]
        if not here:
            continue
        is_new = up.contains(sender.samples[0].at)
        arrived += is_new + growth(here, "data_segs_in")
        lost += is_new * here[0].fields.get("total_retrans", 0)
        if id(sender) not in holes:
            lost += growth(here, "rcv_ooopack")
    failed = [n for n, each in up.requests.items() if each.completion == "connect_failed" and up.contains(each.started)]
    return LossTally(arrived, lost + len(set(failed) - connected))


def _waits_behind_a_hole(sender: Sender) -> bool:
    """Whether segments arrived out of order, and no full one."""
    first, last = sender.samples[0], sender.samples[-1]
    ooo = "rcv_ooopack"
    return (
        last.fields.get(ooo, 0) > first.fields.get(ooo, 0)
        and last.fields.get("rcv_mss", last.advmss) < _NEAR * last.advmss
    )
