"""Answers what a reader asks first: what broke, by how much, and whose fault it was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chaoskit.analysis.conclusion import black_holes
from chaoskit.analysis.formatting import ANYTHING, format_interval, format_value
from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import ObjectiveResult, PhaseResult, Result
from chaoskit.report.blame import OF_FIRST_TOKENS, OF_STALLS, blame
from chaoskit.report.effects import during, effects
from chaoskit.report.headline import reason, summary
from chaoskit.report.matrix_findings import calm, findings
from chaoskit.report.table import metric_cell
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


_NOT_KNOWN = Answer("Whose fault", "Not known")


def answers(found: Result | MatrixResult) -> tuple[Answer, ...]:
    """The three of them, and what the fault was; of a run in which nothing broke what it found instead."""
    if not isinstance(found, Result):
        return tuple(_of_matrix(found))
    result = found
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
        next((known for each in broken if (known := _whose(result, each))), _NOT_KNOWN),
        *_faults(result),
    )


def _of_matrix(matrix: MatrixResult) -> Iterator[Answer]:
    """Over all variants: the first finding, the others in a line each, and what was calm."""
    found = findings(matrix)
    if not found:
        yield Answer("What broke", "Nothing", (f"{summary(matrix)}: nothing worse beyond chance",))
        return
    first, *others = found
    rest = [f"{each.what} {each.where}: {each.size}" for each in others[:_MOST]]
    more = [f"and {counted(len(others) - _MOST, 'finding')} more"] if len(others) > _MOST else []
    yield Answer("What broke", first.what, (*rest, *more))
    before = [f"in {first.reference}: {first.before}"] if first.before else []
    yield Answer("By how much", first.size, tuple(before))
    blamed = _blamed(first.phases, first.metric) or _NOT_KNOWN
    yield replace(blamed, more=(*blamed.more, *first.holes()))
    yield Answer("Where", first.where, tuple(calm(matrix)))


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
    """What the fault did beyond chance and whose that is, or that it did nothing; and first tokens phase by phase."""
    found = effects(result)
    if found:
        first = found[0]
        before, after = (format_value(each, first.change.unit) for each in (first.change.reference, first.change.value))
        lines = (f"{before} → {after} {during(first.phase)}", first.size, *black_holes(first.phase))
        yield Answer("What became worse", f"{first.label[:1].upper()}{first.label[1:]}", lines)
        if not first.change.metric.endswith("_p50") and (blamed := _blamed([first.phase], first.change.metric)):
            yield blamed
    elif result.comparisons:
        yield Answer("What became worse", "Nothing beyond chance", (f"against {result.reference}",))
    yield from _first_tokens(result)
    yield from _interrupted(result)


def _first_tokens(result: Result) -> Iterator[Answer]:
    """The median of each phase: one of all would mix what is with a fault and what is without."""
    told = [
        (phase.name, metric_cell(phase.metrics, "ttft_p50"))
        for phase in result.phases
        if phase.metrics.ttft.p50_ms is not None
    ]
    if len(told) == 1:
        yield Answer("First token, median", told[0][1], (f"in {told[0][0]}",))
    elif told:
        first, *rest = told[: 1 + _MOST]
        yield Answer(
            "First token, median", f"{first[1]} in {first[0]}", tuple(f"{each} in {name}" for name, each in rest)
        )


def _interrupted(result: Result) -> Iterator[Answer]:
    """How many streams of each phase ended early; of a run without any, how many there were."""
    hit = [phase for phase in result.phases if phase.metrics.interrupted]
    total = f"{result.overall.interrupted} of {counted(result.overall.started, 'stream')}"
    if len(result.phases) < 2 or not hit:
        yield Answer("Interrupted", total)
        return
    lines = tuple(f"{each.metrics.interrupted} of {each.metrics.started} in {each.name}" for each in hit[:_MOST])
    yield Answer("Interrupted", lines[0], (*lines[1:], f"{total} in the whole run"))


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
    return _blamed([phase for phase in result.phases if objective.phase in (None, phase.name)], objective.metric)


def _blamed(phases: Sequence[PhaseResult], metric: str) -> Answer | None:
    """The same of a metric in these phases."""
    what, times = blame(phases, metric)
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
