"""Shows whose the stalls were: of each phase, and of the whole run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import PhaseResult, Result, StallAttribution
from chaoskit.report.shares import OWNERS, named, stall_times
from chaoskit.report.styles import caveat, styled
from chaoskit.report.summary_line import stall_shares
from chaoskit.units import counted

_WHOLE = "whole run"
_PARTS = {
    "name-lookup": "name lookup",
    "tls": "TLS",
    "return": "way back",
    "unsplit": "not divided",
}


def stall_rows(result: Result) -> Iterator[tuple[Text, Text]]:
    """A row for the run, and one for each phase with stalls."""
    phases = [phase for phase in result.phases if _total(phase.stall_attribution)]
    yield from ((styled(_WHOLE), styled(f"{shares}.")) for shares in stall_shares(result.phases))
    threshold = format_value(result.stall_threshold_ms, "ms")
    for phase in phases:
        attribution, severe = phase.stall_attribution, phase.metrics.severe_stalls
        text = (
            f"{counted(attribution.stalls, 'stall')}{f', {severe} over 1 s' if severe else ''}; "
            f"{format_value(_total(attribution), 'ms')} beyond {threshold}: {_causes(attribution)}"
        )
        limit = caveat(attribution.confidence, attribution.reason)
        yield styled(phase.name), styled(text).append(limit, style="dim")


def other_rows(result: Result) -> Iterator[tuple[Text, Text]]:
    """Rows for interruptions, and for late first tokens that no hops explain."""
    for phase in result.phases:
        if phase.interruption_causes:
            told = ", ".join(
                f"{OWNERS.get(cause, cause)} {count}" for cause, count in phase.interruption_causes.items()
            )
            yield styled(phase.name), styled(f"{counted(phase.metrics.interrupted, 'interruption')}: {told}")
        if phase.first_token_causes and not _explained_by_hops(phase):
            late = counted(phase.late_first_tokens, "late first token")
            total = format_value(sum(phase.first_token_causes.values()), "ms")
            told = f"{late}, {total} beyond the usual: {_shares(phase.first_token_causes)}"
            limit = "\nlikely" * (phase.first_token_confidence == "likely")
            if any(part != "unsplit" for part in phase.first_token_parts):
                told += f"; by part: {_shares(phase.first_token_parts, _PARTS)}"
            yield styled(phase.name), styled(told).append(limit, style="dim")


def _explained_by_hops(phase: PhaseResult) -> bool:
    """Whether spans name the places of its late first tokens: the client's connection ends at the first host."""
    found = phase.tiers.late_first_tokens if phase.tiers is not None else None
    return found is not None and found.late > found.unknown


def _shares(times: Mapping[Any, float], words: Mapping[str, str] = OWNERS) -> str:
    return ", ".join(f"{name} {share}" for name, share in named(times, words))


def _causes(found: StallAttribution) -> str:
    """Each cause with its share of the time, and on which link most of the network's was, where links were captured."""
    places = found.network_places
    where = f"; mostly {max(places, key=places.__getitem__)}" if places else ""
    return f"{_shares(stall_times([found]))}{where}"


def _total(attribution: StallAttribution) -> float:
    return sum(
        (
            attribution.server_ms,
            attribution.between_ms,
            attribution.network_ms,
            attribution.client_ms,
            attribution.unknown_ms,
        )
    )
