"""Finds timers that contradict each other, or what a healthy answer takes, along the chain of calls.

| pattern                                                   | what follows                                  |
|-----------------------------------------------------------|-----------------------------------------------|
| a timer is shorter than what it waits for                 | healthy answers are cut                       |
| the inner wait is longer than the outer one               | its outcome comes to nobody                   |
| both waits are equal                                      | which of them ends first is chance            |
| all attempts together are longer than the outer           | the last attempts come to nobody              |
| stages in turn are together longer than the outer         | each fits, and the whole does not             |
| no timer                                                  | a host that hangs holds the call without end  |
| tokens are held back                                      | they come late, or in one piece               |
| timers begin again with each token, and a budget does not | a slow stream exceeds it and no timer ends it |
| a connection is reused when the other end closes it       | a request on it fails                         |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaoskit.timeouts.chain import Call, Chain, Lab, strangers
from chaoskit.timeouts.timers import PROBE, SECOND, Kind, Retries, Timer, first_of, roomy
from chaoskit.units import Duration

_LEAST = Duration(60 * SECOND)  # of a timer that is advised where there is none
_SLACK = 4, 5  # what of an outer wait an inner one may have


@dataclass(frozen=True)
class Finding:
    """What is wrong, in one sentence that ends with what to write."""

    sentence: str
    is_warning: bool = True


@dataclass(frozen=True)
class Answer:
    """What an answer of a host takes at its slowest: to its first token, between tokens, in all, each in words."""

    first: Duration
    first_says: str
    silence: Duration
    silence_says: str
    whole: Duration
    whole_says: str
    is_assumed: bool = False


@dataclass(frozen=True)
class Budget:
    """How long stages in turn may take together: an objective; `is_whole`: of the whole answer."""

    value: Duration
    text: str
    is_whole: bool = False


def lint(
    lab: Lab, found: Sequence[Chain], answers: Mapping[str, Answer], budgets: Sequence[Budget]
) -> tuple[Finding, ...]:
    """Everything found along these chains; `answers` are those of their last hosts. Each is told once."""
    told: dict[str, Finding] = {}
    for finding in _all(lab, found, answers, budgets):
        told.setdefault(finding.sentence, finding)
    return tuple(told.values())


def _all(
    lab: Lab, found: Sequence[Chain], answers: Mapping[str, Answer], budgets: Sequence[Budget]
) -> Iterator[Finding]:
    for name, callee in strangers(lab):
        yield Finding(
            f"{name} calls {callee.host} ({callee.place}), and no host of this lab has that name; add the host"
        )
    for chain in found:
        answer = answers.get(chain[-1].callee)
        for call in chain:
            yield from _too_short(call, chain[-1].callee, answer)
        for outer, inner in pairwise(chain):
            yield from _against(outer, inner, answer)
        for call in chain[1:]:
            yield from _own_attempts(call, answer)
            yield from _unbounded(call, lab, answer)
            yield from (
                Finding(f"{call.caller} {hold.sentence}; {hold.mend}", hold.is_certain) for hold in call.route.holds
            )
            yield from _reused(call, lab)
    yield from _in_turn(lab, found, budgets)
    for chain in found:
        yield from (_restarted(chain, budget) for budget in budgets if budget.is_whole and _only_restarts(chain))


def _too_short(call: Call, last: str, answer: Answer | None) -> Iterator[Finding]:
    """Timers that end a healthy answer of the last host; each is told with the longest of what it waits for."""
    if answer is None:
        return
    for timer in call.route.timers:
        if timer.value is None:
            continue
        waits = []
        if not answer.is_assumed:
            if timer.kind in ("first-byte", "idle"):
                begin = "an answer" if answer.first == answer.whole else "the first token"
                waits.append((answer.first, f"{begin} of {last} takes {answer.first} ({answer.first_says})"))
            if timer.kind in ("idle", "gap"):
                waits.append((answer.silence, f"{last} is silent for {answer.silence} ({answer.silence_says})"))
        if timer.kind == "total":
            about = "about " if answer.is_assumed else ""
            waits.append((answer.whole, f"an answer of {last} takes {about}{answer.whole} ({answer.whole_says})"))
        need, says = max(waits, default=(Duration(0), ""))
        if timer.value <= need:
            what = "cuts an answer" if timer.kind == "total" else "gives up a silent answer"
            yield Finding(
                f"{call.caller} {what} after {timer.value} ({timer.source}), and {says}; {timer.mend(roomy(need))}"
            )


def _against(outer: Call, inner: Call, answer: Answer | None) -> Iterator[Finding]:
    """Waits of an inner call against those of the outer call that it is a part of: the tightest for each timer."""
    pairs: dict[Timer, Timer] = {}
    for outer_timer, inner_timer in _pairs(outer, inner):
        known = pairs.setdefault(inner_timer, outer_timer)
        if (outer_timer.value or 0) < (known.value or 0):
            pairs[inner_timer] = outer_timer
    for inner_timer, outer_timer in pairs.items():
        if inner.route.whole(inner_timer) >= (outer_timer.value or 0):
            yield _contradiction(outer, outer_timer, inner, inner_timer, answer)


def _contradiction(outer: Call, outer_timer: Timer, inner: Call, inner_timer: Timer, answer: Answer | None) -> Finding:
    limit, whole = outer_timer.value or Duration(0), inner.route.whole(inner_timer)
    attempts = inner.route.retries.attempts(inner_timer.kind)
    mend = _either(inner_timer, outer_timer, attempts, answer)
    waits = f"{outer.caller} waits {limit} for {outer.callee} ({outer_timer.source})"
    if attempts > 1:
        others, retries = inner.route.retries.others, _with_retries(inner_timer, inner.route.retries)
        hosts = " and then ".join((inner.callee, *others))
        tries = f"for {inner_timer.value} each" if others else f"{attempts} times {inner_timer.value}"
        lost = "the last one answers nobody" if others else "the last tries come to nobody"
        sentence = f"{inner.caller} tries {hosts} {tries} ({retries}), {whole} in all, but {waits}: {lost}; {mend}"
        return Finding(sentence, is_warning=not _is_given(outer_timer))
    if whole == limit:
        both = f"{outer_timer.source}, {inner_timer.source}"
        chance = "which of them gives up first is chance"
        return Finding(f"{outer.caller} and {inner.caller} both wait {limit} ({both}): {chance}; {mend}")
    inside = f"{inner.caller} waits {whole} for {inner.callee} ({inner_timer.source})"
    return Finding(f"{inside}, but {waits}: what comes later comes to nobody; {mend}", is_warning=False)


def _is_given(timer: Timer) -> bool:
    """Whether it is a default of the probe, which says nothing of the clients that it stands for."""
    return timer.is_default and timer.program == PROBE


def _pairs(outer: Call, inner: Call) -> Iterator[tuple[Timer, Timer]]:
    """An outer timer, and an inner one that waits for the same."""
    outer_first, inner_first = outer.route.first_wait, inner.route.first_wait
    connect = inner.route.timer("connect")
    if outer_first is not None and inner_first is not None:
        yield outer_first, inner_first
    if outer_first is not None and connect is not None and inner.route.retries.attempts("connect") > 1:
        yield outer_first, connect
    of_kinds: tuple[tuple[Kind, ...], ...] = (("idle", "gap"), ("total",))
    for kinds in of_kinds:
        outer_timer, inner_timer = outer.route.timer(*kinds), inner.route.timer(*kinds)
        if outer_timer is not None and inner_timer is not None:
            yield outer_timer, inner_timer


def _need(timer: Timer, answer: Answer | None) -> Duration:
    """What a healthy answer takes of a timer."""
    if answer is None:
        return Duration(0)
    match timer.kind:
        case "first-byte":
            return answer.first
        case "idle":
            return max(answer.first, answer.silence)
        case "gap":
            return answer.silence
        case "total":
            return answer.whole
        case _:
            return Duration(0)


def _either(inner: Timer, outer: Timer, attempts: int, answer: Answer | None) -> str:
    """The inner timer shortened, where a healthy answer still fits into it, or the outer one extended."""
    share, parts = _SLACK
    shorter = Duration((outer.value or 0) * share // parts // attempts // inner.step * inner.step)
    if shorter > _need(inner, answer) and not _is_given(outer):
        return inner.mend(shorter)
    return outer.mend(roomy(max((inner.value or 0) * attempts, _need(outer, answer))))


def _with_retries(timer: Timer, retries: Retries) -> str:
    if not retries.name:
        return timer.source
    where = f"default {retries.name}" if retries.is_default else f"{retries.name} in {retries.place}"
    return f"{timer.source}, {where}"


def _own_attempts(call: Call, answer: Answer | None) -> Iterator[Finding]:
    """Attempts that the same host's limit of the whole call has no time for."""
    first, total = call.route.timer("first-byte"), call.route.timer("total")
    retries = call.route.retries
    if first is None or total is None or retries.attempts("total") > 1 or retries.attempts("first-byte") == 1:
        return
    whole = call.route.whole(first)
    if whole >= (total.value or 0):
        mend = _either(first, total, retries.attempts("first-byte"), answer)
        tries = f"{retries.attempts('first-byte')} times {first.value} ({_with_retries(first, retries)})"
        yield Finding(
            f"{call.caller} tries {call.callee} {tries}, {whole} in all, but ends the call after {total.value} "
            f"({total.source}): the last tries never happen; {mend}"
        )


def _unbounded(call: Call, lab: Lab, answer: Answer | None) -> Iterator[Finding]:
    """Nothing ends a call of a host that hangs. HAProxy warns of it itself."""
    route = call.route
    if not route.timers:
        return
    never = [each for each in route.timers if each.value is None]
    is_haproxy = any(each.program == "HAProxy" for each in route.timers)
    if route.first_wait is None:
        missing = next((each for kind in ("idle", "first-byte", "total") for each in never if each.kind == kind), None)
        mend = f"; {missing.mend(max(_LEAST, roomy(_need(missing, answer))))}" if missing is not None else ""
        why = f" (no {missing.name} in {missing.place})" if missing is not None and missing.place else ""
        yield Finding(f"nothing ends {call.caller}'s call of {call.callee} when that hangs{why}{mend}", is_haproxy)
    for each in (*never, *(own for own in lab.readings[call.caller].own if own.value is None)) if is_haproxy else ():
        if each.kind in ("connect", "send"):
            yield Finding(f"{call.caller} has no {each.name}, so that it waits without end; {each.mend(_LEAST)}")


def _reused(call: Call, lab: Lab) -> Iterator[Finding]:
    """An idle connection that the callee closes while the caller still reuses it."""
    reuse = call.route.timer("reuse")
    kept = first_of(lab.readings[call.callee].own, "keep-alive")
    if reuse is None or kept is None or not kept.value or (reuse.value or 0) < kept.value:
        return
    mend = reuse.mend(Duration(kept.value // 2 // SECOND * SECOND)) if kept.value >= 4 * SECOND else ""
    mend = mend or kept.mend(roomy(reuse.value or 0))
    yield Finding(
        f"{call.caller} reuses a connection to {call.callee} that was idle for up to {reuse.value} ({reuse.source}), "
        f"and {call.callee} closes it after {kept.value} ({kept.source}): a request that meets the close fails; {mend}"
    )


def _only_restarts(chain: Chain) -> bool:
    """Whether every timer of the answer begins again with each token."""
    timers = [call.route.timer("total") for call in chain]
    return not any(timers) and any(call.route.timer("idle") for call in chain[1:])


def _restarted(chain: Chain, budget: Budget) -> Finding:
    """A slow stream that no timer ends, for none is of the whole."""
    idle = next(timer for call in chain[1:] if (timer := call.route.timer("idle")) is not None)
    whole = next((timer for timer in chain[0].route.timers if timer.kind == "total"), None)
    mend = whole.mend(budget.value) if whole is not None else "write a timer of the whole call"
    return Finding(
        f"{budget.text}, and no timer is of a whole answer: {idle.value} ({idle.source}) begin again with each token; "
        f"{mend}",
        is_warning=False,
    )


def _in_turn(lab: Lab, found: Sequence[Chain], budgets: Sequence[Budget]) -> Iterator[Finding]:
    """Stages that a host calls in turn: each is within what its caller waits, and all together are not."""
    for name, reading in lab.readings.items():
        if not reading.in_turn:
            continue
        calls = {call.callee: call for chain in found for call in chain if call.caller == name}
        stages = [(call, timer) for call in calls.values() if (timer := call.route.first_wait) is not None]
        above = next((call for chain in found for call in chain if call.callee == name), None)
        outer = above.route.first_wait if above is not None else None
        limits = [(budget.value, budget.text) for budget in budgets]
        if above is not None and outer is not None and outer.value is not None:
            limits.append((outer.value, f"{above.caller} waits {outer.value} for {name} ({outer.source})"))
        waits = [(call.route.whole(timer), call) for call, timer in stages]
        total = Duration(sum(wait for wait, _ in waits))
        listed = " and ".join(f"{call.callee} ({wait})" for wait, call in waits)
        for limit, says in limits:
            if len(waits) > 1 and total >= limit and all(wait < limit for wait, _ in waits):
                timer = max(stages, key=lambda each: each[0].route.whole(each[1]))[1]
                share = Duration(max(limit * 4 // 5 // len(waits) // timer.step, 1) * timer.step)
                yield Finding(
                    f"{name} calls {listed} in turn, up to {total} in all, but {says}: each fits, and together they do "
                    f"not; {timer.mend(share)}, or give all of them one deadline"
                )
