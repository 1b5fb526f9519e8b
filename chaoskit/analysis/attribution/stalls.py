"""Gives the verdict on each stall, and adds them up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.attribution.deaths import of_death
from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.stamps import by_stamps
from chaoskit.analysis.attribution.verdict import Doubt, DoubtKind, Lateness, Stall, Verdict, stalls_of
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Confidence, StallAttribution
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.units import counted

_LIKELY = "the target stamps no events; gaps that ended in a burst after out-of-order segments count as the network's"
_UNKNOWN = "the target stamps no events, and no gap ended in a burst after out-of-order segments"


def attribute_stalls(gaps: Gaps, evidence: StreamEvidence) -> StallAttribution:
    """The attribution of the stalls among these gaps."""
    computed = gaps.table.computed
    verdicts = [_verdict(stall, stall.gap.stream in computed, evidence) for stall in stalls_of(gaps)]
    sums = Lateness(*(sum(each) for each in zip(Lateness(), *(verdict.parts for verdict in verdicts), strict=True)))
    confidence, reason = _confidence(verdicts)
    return StallAttribution(
        stalls=len(verdicts),
        server_ms=sums.server / MS,
        between_ms=sums.between / MS,
        network_ms=sums.network / MS,
        client_ms=sums.client / MS,
        unknown_ms=sums.unknown / MS,
        confidence=confidence,
        reason=reason,
    )


def _verdict(stall: Stall, is_computed: bool, evidence: StreamEvidence) -> Verdict:
    """By the strongest evidence that there is."""
    if stall.after is None:
        return of_death(stall, evidence)
    return by_stamps(stall, is_computed, evidence) or _by_bursts(stall, evidence)


def _by_bursts(stall: Stall, evidence: StreamEvidence) -> Verdict:
    """Without stamps: what followed a lost segment had arrived, and waited for it."""
    stream, time = stall.gap.stream, float(stall.time)
    doubt = Doubt("no-stamps")
    if stream in evidence.held_back:
        return Verdict(stall, Lateness(between=time), "likely", doubt)
    if stall.ends_in_burst and stream in evidence.out_of_order:
        return Verdict(stall, Lateness(network=time), "likely", doubt)
    return Verdict(stall, Lateness(unknown=time), "none", doubt)


def _confidence(verdicts: Sequence[Verdict]) -> tuple[Confidence, str]:
    if all(each.confidence == "exact" for each in verdicts):
        return "exact", ""
    is_known = any(each.parts.unknown < sum(each.parts) for each in verdicts)
    return "likely" if is_known else "none", "; ".join(_reasons(verdicts))


def _reasons(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What limits the confidence, one sentence for each kind."""
    found: dict[DoubtKind, list[Verdict]] = {}
    for each in verdicts:
        if each.doubt is not None:
            found.setdefault(each.doubt.kind, []).append(each)
    if unstamped := found.get("no-stamps"):
        yield _LIKELY if any(each.parts.network or each.parts.between for each in unstamped) else _UNKNOWN
    if dead := found.get("dead-while-late"):
        yield f"{_streams_died(dead)} while the server was up to {_longest(dead)} behind its own schedule"
    if dead := found.get("dead-without-record"):
        yield f"{_streams_died(dead)} of which the server left no record"
    if deaf := found.get("client"):
        stalls = counted(len(deaf), "stall")
        yield f"the client itself did not look at its sockets for up to {_longest(deaf)} during {stalls}"


def _longest(verdicts: Sequence[Verdict]) -> str:
    return format_value(max(each.doubt.late for each in verdicts if each.doubt is not None) / MS, "ms")


def _streams_died(verdicts: Sequence[Verdict]) -> str:
    return f"{counted(len(verdicts), 'stream')} died"
