"""Answers what a reader asks first: what broke, by how much, and whose fault it was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaoskit.analysis.formatting import ANYTHING, format_interval, format_value
from chaoskit.analysis.result import ObjectiveResult, PhaseResult, Result
from chaoskit.report.blame import OF_FIRST_TOKENS, OF_STALLS, blame
from chaoskit.report.headline import reason
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import Objective
from chaoskit.spec.objectives import parse as parse_objective
from chaoskit.units import counted

_MOST = 3  # objectives, and phases, that are named
_LEAST = 0.05  # of the blame: less is not named
_OWNERS = {
    "network": "The network",
    "server": "The server",
    "client": "This client",
    "between": "Something in between",
    "unknown": "Nobody can tell",
}
_IN_WORDS = {
    "toolchain": "how long until the last answer of a chain of tools",
    "stalls_per_minute": "how often a stream fell silent, for each minute of streaming",
    "stall_ratio": "how much of the time a reader waited for text",
    "interruption_rate": "how many streams ended before they were complete",
    "goodput": "how many requests a second met every objective",
    "ttft": "how long until the first token",
    "itl": "how long between two tokens",
    "e2el": "how long until the last token",
    "tpot": "how long for each token after the first",
    "max_gap": "the longest silence of a stream",
    "recovery_time": "how long after the fault until all was well again",
}
_KIND = "the network ("  # loss), delay), ...
_LIMITS = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}


@dataclass(frozen=True)
class Answer:
    """A question, its answer, and lines that say more."""

    question: str
    answer: str
    more: tuple[str, ...] = ()


def answers(result: Result) -> tuple[Answer, ...]:
    """The three of them, and what the fault was; of a run in which nothing broke what it found instead."""
    broken = [each for each in result.objectives if each.verdict == "broken"]
    if not broken:
        return (_without(result), *_measured(result), *_faults(result))
    first, *others = broken
    rest = [f"{each.text}: {format_value(each.observed.value, each.unit)}" for each in others[: _MOST - 1]]
    left = len(others) - len(rest)
    more = (*definition(first), *rest, *([f"and {counted(left, 'objective')} more"] if left else []))
    return (
        Answer("What broke", first.text, more),
        Answer("By how much", format_value(first.observed.value, first.unit), tuple(_by_how_much(result, first))),
        next((found for each in broken if (found := _whose(result, each))), Answer("Whose fault", "Not known")),
        *_faults(result),
    )


def definition(found: ObjectiveResult) -> Iterator[str]:
    """What its metric is, in words."""
    objective = _parsed(found)
    if objective is not None:
        base, _, statistic = objective.metric.rpartition("_")
        known = _IN_WORDS.get(objective.metric) or (_IN_WORDS.get(base) and f"{_IN_WORDS[base]} ({statistic})")
        yield known or METRICS[objective.metric].definition.replace("`", "").rstrip(".")


def _without(result: Result) -> Answer:
    count = len(result.objectives)
    if result.outcome.verdict == "met":
        return Answer("What broke", "Nothing", (f"{counted(count, 'objective')} met",))
    if result.outcome.verdict == "none":
        return Answer("What broke", "No objectives were set", ())
    return Answer("What broke", "It is undecided", (reason(result),))


def _measured(result: Result) -> Iterator[Answer]:
    """What there is to say of a run in which nothing broke."""
    found = result.overall
    if found.ttft.p50_ms is not None:
        p95 = f"p95 {format_value(found.ttft.p95_ms, 'ms')}"
        yield Answer("First token", f"{format_value(found.ttft.p50_ms, 'ms')} (median)", (p95,))
    if found.stalls_per_minute.value is not None:
        longer = f"gaps of more than {format_value(result.stall_threshold_ms, 'ms')}"
        yield Answer("Stalls", format_value(found.stalls_per_minute.value, "per-minute"), (longer,))
    yield Answer("Interrupted", f"{found.interrupted} of {counted(found.started, 'stream')}")


def _by_how_much(result: Result, found: ObjectiveResult) -> Iterator[str]:
    objective, observed = _parsed(found), found.observed
    limit = format_value(found.bound, found.unit)
    if objective is None:
        yield f"bound: {limit}"
        return
    value = observed.value
    is_more = value is not None and math.isfinite(value) and found.bound > 0 and value > found.bound
    times = f": it is {format_value(value / found.bound, 'ratio')} that" if is_more and value is not None else ""
    yield f"allowed: {_LIMITS[objective.operator]} {limit}{times}"
    for each in result.comparisons:
        if (each.phase, each.metric) == (objective.phase, objective.metric) and each.reference is not None:
            yield f"in {result.reference}: {format_value(each.reference, each.unit)}"
    interval = format_interval(observed.low, observed.high, found.unit)
    ends = {format_value(each, found.unit) for each in (observed.low, observed.high)}
    if observed.value is not None and len(ends) > 1 and interval != ANYTHING:
        yield f"{100 * result.level:.3g} % interval: {interval}, over {counted(found.streams, 'stream')}"


def _whose(result: Result, found: ObjectiveResult) -> Answer | None:
    """Whose most of it is; None where nothing tells."""
    objective = _parsed(found)
    if objective is None:
        return None
    phases = [phase for phase in result.phases if objective.phase in (None, phase.name)]
    what, times = blame(phases, objective.metric)
    total = sum(times.values())
    if not total:
        return None
    by_owner: dict[str, float] = {}
    for name, time in times.items():
        owner = "network" if name.startswith(_KIND) else name
        by_owner[owner] = by_owner.get(owner, 0.0) + time
    (most, time), *others = sorted(by_owner.items(), key=lambda each: -each[1])
    kinds = {name[len(_KIND) : -1]: part for name, part in times.items() if name.startswith(_KIND)}
    lines = [f"{_share(time, total)} of {what}"]
    lines += [f"by kind: {told}"] if (told := _shares(kinds.items(), total)) else []
    rest = _shares(((_OWNERS.get(owner, owner).lower(), part) for owner, part in others), total)
    lines += [f"and {rest}"] if rest else []
    lines += _confidence(phases, what)
    return Answer("Whose fault", _OWNERS.get(most, f"{most[:1].upper()}{most[1:]}"), tuple(lines))


def _share(part: float, total: float) -> str:
    return format_value(part / total, "share")


def _shares(parts: Iterable[tuple[str, float]], total: float) -> str:
    """The largest first, without small ones."""
    named = sorted((each for each in parts if each[1] >= _LEAST * total), key=lambda each: -each[1])
    return ", ".join(f"{name} {_share(part, total)}" for name, part in named)


def _confidence(phases: Sequence[PhaseResult], what: str) -> Iterator[str]:
    """How sure that is, as far as the result says it of the stall time, and of first tokens."""
    if what == OF_STALLS:
        found = {each.stall_attribution.confidence for each in phases if each.stall_attribution.stalls}
    else:
        found = {each.first_token_confidence for each in phases if each.late_first_tokens and what == OF_FIRST_TOKENS}
    if found == {"exact"}:
        yield "exact: by the server's own stamps"
    elif "likely" in found:
        yield "likely: by what could be seen from outside"


def _parsed(found: ObjectiveResult) -> Objective | None:
    """None for a sentence of an older version."""
    try:
        return parse_objective(found.text)
    except ValueError:
        return None


def _faults(result: Result) -> Iterator[Answer]:
    """What was done to the network, phase by phase."""
    faulted = [phase for phase in result.phases if phase.settings]
    if not faulted:
        return
    lines = [line for phase in faulted[:_MOST] for line in _fault(result, phase)]
    left = len(faulted) - _MOST
    names = ", ".join(phase.name for phase in faulted[:_MOST])
    yield Answer("What was done", f"{names}{f' and {left} more' if left > 0 else ''}", tuple(lines))


def _fault(result: Result, phase: PhaseResult) -> Iterator[str]:
    yield from phase.settings
    checks = [each for each in result.fidelity if each.phase == phase.name]
    if any(each.verdict == "not-achieved" for each in checks):
        yield f"{phase.name} did NOT come about as asked"
    elif any(each.verdict == "achieved" for each in checks):
        yield "measured: it came about as asked"
