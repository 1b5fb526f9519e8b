"""Shows whose the stalls were: of each phase, and of the whole run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import PhaseResult, Result, StallAttribution
from chaoskit.report.styles import caveat, styled
from chaoskit.report.summary_line import stall_shares
from chaoskit.units import counted

_LEAST = 0.005  # share of the time that is named
_WHOLE = "whole run"
_WORDS = {
    "between": "held back in between",
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
            f"{format_value(_total(attribution), 'ms')} beyond {threshold}: {_causes([attribution])}"
        )
        limit = caveat(attribution.confidence, attribution.reason)
        yield styled(phase.name), styled(text).append(limit, style="dim")


def other_rows(result: Result) -> Iterator[tuple[Text, Text]]:
    """Rows for interruptions, and for late first tokens that no hops explain."""
    for phase in result.phases:
        if phase.interruption_causes:
            told = ", ".join(
                f"{_WORDS.get(cause, cause)} {count}" for cause, count in phase.interruption_causes.items()
            )
            yield styled(phase.name), styled(f"{counted(phase.metrics.interrupted, 'interruption')}: {told}")
        if phase.first_token_causes and not _explained_by_hops(phase):
            late = counted(phase.late_first_tokens, "late first token")
            total = format_value(sum(phase.first_token_causes.values()), "ms")
            told = f"{late}, {total} beyond the usual: {_shares(phase.first_token_causes.items())}"
            limit = "\nlikely" * (phase.first_token_confidence == "likely")
            if any(part != "unsplit" for part in phase.first_token_parts):
                told += f"; by part: {_shares(phase.first_token_parts.items())}"
            yield styled(phase.name), styled(told).append(limit, style="dim")


def _explained_by_hops(phase: PhaseResult) -> bool:
    """Whether spans name the places of its late first tokens: the client's connection ends at the first host."""
    found = phase.tiers.late_first_tokens if phase.tiers is not None else None
    return found is not None and found.late > found.unknown


def _shares(times: Iterable[tuple[str, float]]) -> str:
    """The largest first."""
    found = sorted(times, key=lambda item: -item[1])
    total = sum(time for _, time in found)
    return ", ".join(
        f"{_WORDS.get(name, name)} {format_value(time / total, 'share')}"
        for name, time in found
        if time / total >= _LEAST
    )


def _causes(every: Sequence[StallAttribution]) -> str:
    """Each cause with its share of the time, the largest first."""
    times = {
        f"network{_kinds(every)}": sum(each.network_ms for each in every),
        "held back in between": sum(each.between_ms for each in every),
        "server": sum(each.server_ms for each in every),
        "client": sum(each.client_ms for each in every),
        "unknown": sum(each.unknown_ms for each in every),
    }
    total = sum(times.values())
    return ", ".join(
        f"{name} {format_value(time / total, 'share')}"
        for name, time in sorted(times.items(), key=lambda item: -item[1])
        if time / total >= _LEAST
    )


def _kinds(every: Sequence[StallAttribution]) -> str:
    """What the network did, the most first, without what is less than a tenth of it."""
    times: dict[str, float] = {}
    for each in every:
        for kind, time in each.network_kinds.items():
            times[kind] = times.get(kind, 0.0) + time
    most = [
        kind for kind, time in sorted(times.items(), key=lambda item: -item[1]) if time >= 0.1 * sum(times.values())
    ]
    where = _places(every)
    return f" ({', '.join(most)}{'; mostly ' * bool(where)}{where})" if most else ""


def _places(every: Sequence[StallAttribution]) -> str:
    """On which link most of the network's time was; "" where no links were captured."""
    times: dict[str, float] = {}
    for each in every:
        for place, time in each.network_places.items():
            times[place] = times.get(place, 0.0) + time
    return max(times, key=times.__getitem__, default="")


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
