"""Shows the queue of each model by phase, beside the busy share of its GPU, which hides it.

| figure               | from                                                                          |
|----------------------|-------------------------------------------------------------------------------|
| busy                 | the growth of `busy` over the time of the phase                               |
| running, waiting, KV | the samples of each second in the phase: their mean, and the largest          |
| preemptions, tokens  | the growth of the counters                                                    |
| requests, first token | the model's spans that began in the phase                                    |

A server that was started again counts from 0: what it had counted before is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank
from chaoskit.analysis.streams.phase_samples import SECOND
from chaoskit.analysis.streams.timeline import Span as PhaseSpan
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.analysis.tiers.queue_result import ModelPhase, ModelQueue
from chaoskit.records.span_names import FIRST_TOKEN
from chaoskit.records.spans import ModelState, Span

_SAME = 0.1  # of busy shares: nobody takes a smaller difference for a sign
_WORSE = 2  # times as late: everybody sees that
_BUSY = 0.5  # a GPU below is not taken for one in use


def model_queues(states: Sequence[ModelState], spans: Iterable[Span], timeline: Timeline) -> tuple[ModelQueue, ...]:
    """Those of all hosts with an engine, in the order of their first records."""
    hosts = dict.fromkeys(state.host for state in states)
    of_models = [span for span in spans if span.operation == "model" and span.host in hosts]
    return tuple(
        _queue(host, [each for each in states if each.host == host], [s for s in of_models if s.host == host], timeline)
        for host in hosts
    )


def _queue(host: str, states: Sequence[ModelState], spans: Sequence[Span], timeline: Timeline) -> ModelQueue:
    history = _History(states)
    phases = tuple(
        _phase(name, [span for span in timeline.spans if span.name == name], history, spans) for name in timeline.names
    )
    return ModelQueue(host=host, phases=phases, sentence=sentence(phases))


class _History:
    """The samples of one model, with counters that never fall."""

    def __init__(self, states: Sequence[ModelState]) -> None:
        self.states = sorted(states, key=lambda state: state.at)
        self._at = np.array([state.at for state in self.states], dtype=np.int64)
        self._counts = {
            name: _grown([getattr(state, name) for state in self.states]) for name in ("busy", "preemptions", "tokens")
        }

    def grown(self, name: str, begin: int, end: int) -> float:
        """The growth of a counter between two stamps; between samples it is taken as even."""
        first, last = np.interp([begin, end], self._at, self._counts[name])
        return float(last - first)

    def within(self, begin: int, end: int) -> list[ModelState]:
        """The samples from `begin` until before `end`."""
        first, after = np.searchsorted(self._at, [begin, end])
        return self.states[first:after]


def _grown(values: Sequence[int]) -> NDArray[np.int64]:
    steps = [after - before if after >= before else after for before, after in pairwise([0, *values])]
    return np.cumsum(np.array(steps, dtype=np.int64))


def _phase(name: str, times: Sequence[PhaseSpan], history: _History, spans: Sequence[Span]) -> ModelPhase:
    """The queue in the rounds of one phase."""
    length = sum(each.end - each.begin for each in times)
    samples = [state for each in times for state in history.within(each.begin, each.end)]
    begun = [span for each in times for span in spans if each.begin <= span.begin < each.end]
    firsts = sorted(int(span.attributes[FIRST_TOKEN]) for span in begun if FIRST_TOKEN in span.attributes)

    def grown(counter: str) -> float:
        return sum(history.grown(counter, each.begin, each.end) for each in times)

    def mean(value: Callable[[ModelState], float]) -> float | None:
        return fmean(map(value, samples)) if samples else None

    return ModelPhase(
        name=name,
        requests_per_second=len(begun) / (length / SECOND) if length else None,
        busy=min(1.0, grown("busy") / length) if length and history.states else None,
        running=mean(lambda state: state.running),
        running_max=max((state.running for state in samples), default=None),
        waiting=mean(lambda state: state.waiting),
        waiting_max=max((state.waiting for state in samples), default=None),
        kv_usage=mean(_kv_usage),
        kv_usage_max=max(map(_kv_usage, samples), default=None),
        preemptions=round(grown("preemptions")),
        computed_per_second=grown("tokens") / (length / SECOND) if length else None,
        first_token_p95_ms=nearest_rank(firsts, 95) / MS if firsts else None,
        refused=sum(span.error is not None and span.error.isdigit() for span in begun),
    )


def _kv_usage(state: ModelState) -> float:
    return state.kv_used / state.kv_size if state.kv_size else 0.0


def sentence(phases: Sequence[ModelPhase]) -> str:
    """What the gauges say of the phases with the earliest and the latest first tokens; empty without two of them."""
    known = [each for each in phases if each.first_token_p95_ms is not None and each.busy is not None]
    if len(known) < 2:
        return ""
    good, bad = (choose(known, key=lambda each: each.first_token_p95_ms or 0.0) for choose in (min, max))
    if good is bad:
        return ""
    busy = f"GPU busy {_in(good)} and {_in(bad)}"
    assert good.busy is not None
    assert bad.busy is not None
    is_worse = (bad.first_token_p95_ms or 0) >= _WORSE * (good.first_token_p95_ms or 0)
    if is_worse and good.busy >= _BUSY and abs(bad.busy - good.busy) <= _SAME:
        busy += ": says nothing"
    return f"{busy}; {', '.join(_told(good, bad))}"


def _in(phase: ModelPhase) -> str:
    rate = format_value(phase.requests_per_second, "per-second")
    return f"{format_value(phase.busy, 'share')} during {phase.name} ({rate})"


def _told(good: ModelPhase, bad: ModelPhase) -> Iterator[str]:
    """What changed from one to the other."""
    yield f"waiting {_mean(good.waiting)} -> {_mean(bad.waiting)}"
    if good.preemptions != bad.preemptions:
        yield f"preemptions {good.preemptions} -> {bad.preemptions}"
    first, last = (format_value(each.first_token_p95_ms, "ms") for each in (good, bad))
    yield f"first token p95 {first} -> {last}"


def _mean(value: float | None) -> str:
    return format_value(value, "count")
