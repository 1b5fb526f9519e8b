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

from chaoskit.analysis.chains.queue_result import ModelPhase, ModelQueue
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Unit
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank
from chaoskit.analysis.streams.phase_samples import SECOND
from chaoskit.analysis.streams.timeline import Span as PhaseSpan
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.records.span_names import FIRST_TOKEN
from chaoskit.records.spans import ModelState, Span

_SAME = 0.1  # of busy shares: nobody takes a smaller difference for a sign
_WORSE = 2  # times as late: everybody sees that
_BUSY = 0.5  # a GPU below is not taken for one in use
_GAUGES: dict[str, Unit] = {
    "requests_per_second": "per-second",
    "waiting": "count",
    "preemptions": "count",
    "first_token_p95_ms": "ms",
}
_NAMES = {
    "requests_per_second": "requests",
    "waiting": "waiting",
    "preemptions": "preemptions",
    "first_token_p95_ms": "first token p95",
}


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
    return ModelQueue(
        host=host, phases=phases, sentence=compare_gauges([(f"during {each.name}", each) for each in phases])
    )


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
    told = (span.attributes.get(FIRST_TOKEN) for span in begun)
    firsts = sorted(each for each in told if isinstance(each, int) and each >= 0)

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


def compare_gauges(phases: Sequence[tuple[str, ModelPhase]]) -> str:
    """What the gauges say of the shortest and the longest queue among these; empty without two of them.

    Each has words that say when it was: `during baseline`.
    """
    known = [each for each in phases if each[1].first_token_p95_ms is not None and each[1].busy is not None]
    if len(known) < 2:
        return ""
    (when_good, good), (when_bad, bad) = (
        choose(known, key=lambda each: (each[1].waiting or 0.0, each[1].first_token_p95_ms or 0.0))
        for choose in (min, max)
    )
    busy = f"GPU busy {_busy(good)} {when_good} and {_busy(bad)} {when_bad}"
    if _says_nothing(good, bad):
        busy += ": says nothing"
    return f"{busy}; {', '.join(_told(good, bad))}"


def _says_nothing(good: ModelPhase, bad: ModelPhase) -> bool:
    """Whether the first tokens are much later, and the GPU as busy."""
    is_worse = (bad.first_token_p95_ms or 0) >= _WORSE * (good.first_token_p95_ms or 0) > 0
    busy = good.busy or 0
    return is_worse and busy >= _BUSY and abs((bad.busy or 0) - busy) <= _SAME


def _busy(phase: ModelPhase) -> str:
    return format_value(phase.busy, "share")


def _told(good: ModelPhase, bad: ModelPhase) -> Iterator[str]:
    """What changed from one to the other."""
    for name, unit in _GAUGES.items():
        first, last = (format_value(getattr(each, name), unit) for each in (good, bad))
        if first != last:
            yield f"{_NAMES[name]} {first} -> {last}"
