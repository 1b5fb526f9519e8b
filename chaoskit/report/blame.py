"""Says whose the lateness of first tokens, the stall time and the interruptions are.

Pure: a function of some phases and of the name of the metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import PhaseResult, StallAttribution

_OWNERS = {
    "network": "the network",
    "server": "the server",
    "client": "this client",
    "between": "held back in between",
    "unknown": "unknown",
}
OF_FIRST_TOKENS, OF_STALLS = "the lateness of first tokens", "the stall time"
_FIRST_TOKEN = ("ttfb", "ttft", "ttf_event", "ttfo", "connect", "dns", "tls", "upload")
_STALLS = ("itl", "tpot", "e2el", "max_gap", "stall", "recovery")
_CHAINS = ("toolchain",)
_INTERRUPTED = ("interruption", "goodput")
_LEAST = 0.05  # share of a cause that is named


def whose(phases: Sequence[PhaseResult], metric: str) -> Iterator[str]:
    """Whose the late first tokens, the stalls or the interruptions of these phases are."""
    what, found = blame(phases, metric)
    total = sum(found.values())
    if total:
        shares = sorted(((time / total, who) for who, time in found.items()), reverse=True)
        named = [(format_value(share, "share"), _OWNERS.get(who, who)) for share, who in shares if share >= _LEAST]
        (most, owner), *others = named
        yield ", ".join([f"{most} of {what} is {owner}", *(f"{share} {who}" for share, who in others)])


def blame(phases: Sequence[PhaseResult], metric: str) -> tuple[str, dict[str, float]]:
    """What of these phases a metric suffers from, and how much of it each cause has; nothing of other metrics."""
    if metric.startswith(_CHAINS):
        return "what slow chains took beyond the usual", _sum(_chain_times(phase) for phase in phases)
    if metric.startswith(_FIRST_TOKEN) and (places := _sum(_late_places(phase) for phase in phases)):
        return "the late first tokens", places
    if metric.startswith(_FIRST_TOKEN):
        return OF_FIRST_TOKENS, _sum(phase.first_token_causes.items() for phase in phases)
    if metric.startswith(_INTERRUPTED):
        return "the interruptions", _sum(phase.interruption_causes.items() for phase in phases)
    if metric.startswith(_STALLS):
        return OF_STALLS, _sum(_stall_times(phase.stall_attribution).items() for phase in phases)
    return "", {}


def _chain_times(phase: PhaseResult) -> Iterator[tuple[str, float]]:
    """What each place took longer than usual, ms."""
    for each in phase.tiers.path if phase.tiers is not None else ():
        if each.added_ms is not None and each.added_ms > 0:
            yield each.place, each.added_ms


def _late_places(phase: PhaseResult) -> Iterator[tuple[str, float]]:
    """How many late first tokens each place explains; none where the spans explain none."""
    found = phase.tiers.late_first_tokens if phase.tiers is not None else None
    if found is not None and found.late > found.unknown:
        yield from ((each.place, float(each.requests)) for each in found.causes)
        yield "unknown", float(found.unknown)


def _sum(each: Iterable[Iterable[tuple[str, float]]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, time in chain.from_iterable(each):
        found[name] = found.get(name, 0.0) + time
    return found


def _stall_times(found: StallAttribution) -> dict[str, float]:
    """By cause, the network's by what it did."""
    kinds = {f"the network ({kind})": time for kind, time in found.network_kinds.items()}
    rest = found.network_ms - sum(kinds.values())
    others = {"server": found.server_ms, "between": found.between_ms, "client": found.client_ms}
    return kinds | {"network": max(0.0, rest)} | others | {"unknown": found.unknown_ms}
