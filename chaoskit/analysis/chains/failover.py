"""Says what users saw of the failure of a host, and how long it took to fail over and back.

| outcome                      | the evidence                                                                    |
|------------------------------|---------------------------------------------------------------------------------|
| `none`                       | complete, and every hop answered at its first attempt, as far as is told        |
| `retried-before-first-token` | complete, and a hop was attempted again before the client had a token           |
| `resumed-with-prefix`        | complete, a model was asked again in the middle, and the numbers go on          |
| `duplicated-text`            | complete, and the numbers of the events fell back; without any: more than asked |
| `truncated-as-success`       | a clean end without the protocol's marker; or with it, but the hop failed       |
| `error-shown`                | any other end that is not complete                                              |

A hedge is no attempt after a failure. Requests that this machine could not do, or that the run's end cut off, are left
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from chaoskit.analysis.chains.actions import Action, Hop
from chaoskit.analysis.chains.chain_results import Count, FailoverTimes
from chaoskit.analysis.chains.repeated_text import Numbering
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.timeline import FOREVER, Timeline
from chaoskit.analysis.streams.timeline import Span as PhaseSpan
from chaoskit.records import span_names
from chaoskit.records.spans import OPERATIONS, Operation, Span

FailoverOutcome = Literal[
    "none",
    "retried-before-first-token",
    "resumed-with-prefix",
    "duplicated-text",
    "truncated-as-success",
    "error-shown",
]
OUTCOMES: tuple[FailoverOutcome, ...] = get_args(FailoverOutcome)


def outcome(action: Action, numbering: Numbering | None) -> FailoverOutcome | None:
    """What the user of this request saw of a failure; None where it was cut off, or not done."""
    request = action.request
    if request.completion in ("cancelled", "client_error"):
        return None
    if request.completion == "truncated":
        return "truncated-as-success"
    if request.completion != "complete":
        return "error-shown"
    models = [hop for hop in action.hops if hop.operation == "model"]
    if _is_repeated(action, numbering):
        return "duplicated-text"
    if models and models[-1].span.error is not None and request.tokens:
        return "truncated-as-success"
    attempts = [span for hop in models for span in _in_turn(hop)[1:]]
    if request.first_token is not None and any(span.begin > request.first_token for span in attempts):
        return "resumed-with-prefix"
    return "retried-before-first-token" if any(len(_in_turn(hop)) > 1 for hop in action.hops) else "none"


def outcomes(actions: Iterable[Action], numbering: Mapping[int, Numbering]) -> tuple[Count, ...]:
    """How many requests had each outcome; nothing where all had `none`."""
    found = Counter(outcome(action, numbering.get(action.request.stream)) for action in actions)
    del found[None]
    if not set(found) - {"none"}:
        return ()
    return tuple(Count(name=name, count=found[name]) for name in OUTCOMES if found[name])


def _is_repeated(action: Action, numbering: Numbering | None) -> bool:
    if numbering is not None:
        return numbering.fell_back > 0
    asked = action.request.asked
    return asked is not None and action.request.tokens > asked


def _in_turn(hop: Hop) -> Sequence[Span]:
    """The attempts after failures, without hedges."""
    return [span for span, _ in hop.attempts if span.attributes.get(span_names.HEDGE) is not True]


class _Answer(NamedTuple):
    """A hop that was answered: by which host, and when that was asked."""

    asked: int
    host: str


def failover_times(actions: Iterable[Action], timeline: Timeline, reference: str, name: str) -> Iterator[FailoverTimes]:
    """For each purpose that another host than usual served in the phases of this name: how long it took to get there.

    Usual is the host that answered most in the reference phase. It is asked again when a call of it is answered. A
    phase without faults in which calls come back has not moved them.
    """
    answers = _answers(actions)
    for operation in OPERATIONS:
        every = sorted(answers.get(operation, []))
        usual = Counter(each.host for each in every if timeline.span_at(each.asked).name == reference)
        if not usual or name == reference:
            continue
        primary = usual.most_common(1)[0][0]
        spans = [span for span in timeline.spans if span.name == name and not _is_left_over(every, span, primary)]
        others = [each for span in spans for each in _within(every, span) if each.host != primary]
        if not others:
            continue
        over = [_over(every, span, primary) for span in spans]
        back = [_back(every, span, primary) for span in spans]
        yield FailoverTimes(
            operation=operation,
            usual=primary,
            instead=Counter(each.host for each in others).most_common(1)[0][0],
            calls=len(others),
            over_ms=_longest(over),
            back_ms=_longest(back),
        )


def _answers(actions: Iterable[Action]) -> dict[Operation, list[_Answer]]:
    found: dict[Operation, list[_Answer]] = {}
    for action in actions:
        for hop in action.hops:
            good = next(((span, host) for span, host in reversed(hop.attempts) if span.error is None), None)
            if good is not None:
                found.setdefault(hop.operation, []).append(_Answer(good[0].begin, good[1]))
    return found


def _within(answers: Iterable[_Answer], span: PhaseSpan) -> list[_Answer]:
    return [each for each in answers if span.ready <= each.asked < min(span.end, span.cleared)]


def _is_left_over(answers: Sequence[_Answer], span: PhaseSpan, primary: str) -> bool:
    """Whether a phase without faults begins with calls moved already: the phase before tells when they were back."""
    before = [each.host for each in answers if each.asked < span.ready]
    return not span.faults and before[-1:] not in ([], [primary])


def _over(answers: Iterable[_Answer], span: PhaseSpan, primary: str) -> int | None:
    return _first(each.asked - span.ready for each in _within(answers, span) if each.host != primary)


def _back(answers: Iterable[_Answer], span: PhaseSpan, primary: str) -> int | None:
    if span.cleared == FOREVER:
        return None
    return _first(each.asked - span.cleared for each in answers if each.asked >= span.cleared and each.host == primary)


def _first(lengths: Iterable[int]) -> int | None:
    return next(iter(lengths), None)


def _longest(lengths: Iterable[int | None]) -> float | None:
    known = [length for length in lengths if length is not None]
    return max(known) / MS if known else None
