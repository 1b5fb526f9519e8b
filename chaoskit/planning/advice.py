"""Searches for changes that give objectives what they need; each is tried until nothing is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit.planning.shortfalls import Shortfall, factor, is_enough, shortfalls
from chaoskit.planning.timetable import SECOND, Timetable
from chaoskit.planning.until_decided import looks_of
from chaoskit.spec.multiple import shown
from chaoskit.spec.objectives import Objective, parse
from chaoskit.spec.replay import Replay, read_rows
from chaoskit.spec.sample_size import gap_tail, is_zero_when_well, sample_sizes, tail_beyond
from chaoskit.units import Duration, Frequency, counted

_TRIES = 60
_LONGEST, _FASTEST, _MOST_STREAMS, _MOST_REPEATS = 24 * 3600 * SECOND, 50.0, 100, 1000  # what is worth an advice
_TIMES_FOR_ENDPOINT = 2  # of its load: somebody pays for it, and another load is another question
_SLACK, _SLACK_OF_ESTIMATE = 0.02, 0.1  # a closed loop is only estimated
_SHARES = [f"{share}%" for share in (0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)]
_STALLS = ["1", "2", "5", "10", "20", "30", "60", "100"]
_QUANTILES = ("p99", "p95", "p90", "p50")


def changes(found: Sequence[Shortfall], table: Timetable) -> Iterator[str]:
    """Changes of a file, as it has them, each of which alone decides all of these."""
    search = _Search([each.objective for each in found], table)
    if not table.is_until_decided:  # fewer rounds would fit into the time
        yield from search.longer_phases()
    yield from search.more_load()
    yield from search.more_repeats()
    yield from search.other_workload()


def looser(short: Shortfall) -> Iterator[str]:
    """The strongest objective of its kind that what is given can decide."""
    for words, trial in _weaker(short.objective):
        size = sample_sizes(trial, short.tail).to_be_decided
        if size is not None and all(is_enough(size, supply) for _, supply in short.given):
            yield words
            return


@dataclass(frozen=True)
class _Search:
    """For changes that decide all these objectives."""

    objectives: Sequence[Objective]
    table: Timetable

    def longer_phases(self) -> Iterator[str]:
        """The phases that are too short; nothing where the whole run is, or where one name has several lengths."""
        table, lengths = self.table, dict[str, Duration]()
        for _ in range(_TRIES):
            found = self._missing(table)
            if not found:
                yield " and ".join(f"{name}: {length}" for name, length in lengths.items())
                return
            for short in found:
                for name, supply in short.given:
                    former = {stretch.length for stretch in table.stretches if stretch.name == name}
                    if name is None or len(former) != 1:
                        return
                    seconds = math.ceil(former.pop() * factor(short.size, supply) / SECOND)
                    lengths[name] = Duration(seconds * SECOND)
                    table = table.with_length(name, lengths[name])
            if table.length > _LONGEST:
                return

    def more_load(self) -> Iterator[str]:
        """A higher rate, or more streams at a time."""
        work = self.table.workload
        rate, concurrency, trace = work.request_rate, work.max_concurrency, work.trace
        times = math.inf if self.table.server is not None else _TIMES_FOR_ENDPOINT
        if rate is not None:
            most = min(_FASTEST, times * rate.per_second)
            found = self._least(rate.per_second, most, _two_digits, lambda each: {"request_rate": _frequency(each)})
            yield from (f"request-rate: {_frequency(each)}" for each in found)
        elif concurrency is not None:
            most = min(_MOST_STREAMS, times * concurrency)
            found = self._least(concurrency, most, math.ceil, lambda each: {"max_concurrency": round(each)})
            yield from (f"max-concurrency: {each}" for each in found)
        elif trace is not None:
            most = _FASTEST * trace.speed
            found = self._least(trace.speed, most, _two_digits, lambda each: {"trace": _at(trace, each)})
            yield from (f"trace: {{file: {trace.file}, speed: {shown(each)}}}" for each in found)

    def more_repeats(self) -> Iterator[str]:
        """The timeline, more often."""
        value, is_until = self.table.repeats, self.table.is_until_decided
        for _ in range(_TRIES):
            tail = looks_of(value, self.table.order).tail if is_until else self.table.tail
            table = replace(self.table, repeats=value, tail=tail)
            found = self._missing(table)
            if not found:
                yield f"--max-time {Duration(table.length)}" if is_until else f"repeats: {value}"
                return
            value = math.ceil(value * _worst(found))
            if self.table.order == "interleaved":
                value += value % 2  # whose rounds come in pairs
            if value > _MOST_REPEATS or replace(self.table, repeats=value).length > _LONGEST:
                return

    def other_workload(self) -> Iterator[str]:
        """Where more does not help: connections that are made for each stream, streams that have a gap."""
        if not self._missing(self.table.with_workload(connections="fresh")):
            yield "connections: fresh"
        if self.table.workload.output_tokens == 1 and not self._missing(self.table.with_workload(output_tokens=2)):
            yield "output-tokens: 2"
        if (trace := self.table.workload.trace) is not None:
            has = len(read_rows(trace))
            if any(has < each.size.streams for each in self._missing(self.table)):
                yield f"a longer trace ({Path(trace.file).name} has {counted(has, 'request')})"

    def _least(
        self, start: float, most: float, tidy: Callable[[float], float], words: Callable[[float], dict[str, object]]
    ) -> Iterator[float]:
        value = start
        for _ in range(_TRIES):
            value = tidy(value)
            if value > most:
                return
            found = self._missing(self.table.with_workload(**words(value)))
            if not found:
                yield value
                return
            value *= max(_worst(found), 1.0001)

    def _missing(self, table: Timetable) -> list[Shortfall]:
        slack = _SLACK if table.workload.request_rate is not None else _SLACK_OF_ESTIMATE
        return shortfalls(self.objectives, table, slack)


def _worst(found: Sequence[Shortfall]) -> float:
    return max(each.factor for each in found)


def _two_digits(rate: float) -> float:
    """Rounded up."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return round(math.ceil(round(rate / step, 6)) * step, 6)


def _at(trace: Replay, speed: float) -> Replay:
    return trace.model_copy(update={"speed": speed})


def _frequency(rate: float) -> Frequency:
    return Frequency(round(rate * 1e6))


def _weaker(objective: Objective) -> Iterator[tuple[str, Objective]]:
    """Objectives of the same kind, each weaker than the one before."""
    metric = objective.metric
    name, _, quantile = metric.rpartition("_")
    if tail_beyond(metric) is not None or gap_tail(metric) is not None:
        for each in _QUANTILES[_QUANTILES.index(quantile) + 1 :]:
            words = objective.text.replace(metric, f"{name}_{each}", 1)
            yield words, parse(words)
    elif objective.factor is None and objective.operator in ("<", "<=") and is_zero_when_well(metric):
        for bound in _STALLS if objective.kind == "per-minute" else _SHARES:
            words = f"{metric} {objective.operator} {bound}{objective.clauses}"
            yield words, parse(words)
