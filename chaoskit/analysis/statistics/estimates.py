"""Estimates one metric of one phase: its value, and its interval.

Values are in base units: ns, shares of 1, numbers per minute or second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from chaoskit.analysis.result import Unit
from chaoskit.analysis.statistics.estimators import GAP_PERCENTS, Estimate, exact, none
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.statistics.sampling import Sampling
from chaoskit.analysis.streams.phase_samples import OF_ALL_STREAMS, PhaseSamples
from chaoskit.analysis.streams.recovery import Recoveries
from chaoskit.intervals import TAIL
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.sample_size import SHARES_OF_STREAMS

MINUTE = 60 * 10**9


def unit(metric: str) -> Unit:
    """The unit of this metric in the result."""
    kind = METRICS[metric].kind
    return "ms" if kind == "duration" else kind


def is_of_gaps(metric: str) -> bool:
    """Whether it says how a stream's tokens follow one another, and nothing of streams without tokens."""
    return metric in ("stalls_per_minute", "stall_interval_fraction", "stall_ratio")


def scale(metric: str) -> float:
    """The factor from base units to those of the result."""
    return 1 / MS if unit(metric) == "ms" else 1.0


class Estimates:
    """Every metric of every phase, computed on first use.

    `good` are the streams that met every objective, `intended` the tokens the server meant to send to each.
    `recoveries` are the times until goodput was back, `missing` the reasons why metrics have no value, where the run
    knows a better one than that of the table. `tail` is the probability beyond each end of an interval.
    """

    def __init__(
        self,
        good: frozenset[int],
        intended: Mapping[int, int],
        recoveries: Recoveries | None = None,
        missing: Mapping[str, str] = MappingProxyType({}),
        tail: float = TAIL,
    ) -> None:
        self._good, self._intended = good, intended
        self._recoveries, self._missing, self.tail = recoveries, missing, tail
        self._cache: dict[tuple[str, str, str], Estimate] = {}

    def at(self, tail: float) -> Estimates:
        """The same with intervals at another level."""
        return Estimates(self._good, self._intended, self._recoveries, self._missing, tail)

    @classmethod
    def pooled(cls, runs: Sequence[tuple[Estimates, int]]) -> Estimates:
        """Those of several runs as of one, each with what is added to the numbers of its streams.

        How long a run took to recover is of that run alone.
        """
        return cls(
            frozenset(first + number for each, first in runs for number in each._good),
            {first + number: tokens for each, first in runs for number, tokens in each._intended.items()},
            missing={**runs[0][0]._missing, "recovery_time": "it is of each run alone"},
            tail=runs[0][0].tail,
        )

    def of(self, sample: PhaseSamples, metric: str) -> Estimate:
        """The estimate of a metric, named as in objectives."""
        key = (sample.name, sample.population, metric)
        if key not in self._cache:
            found = self._compute(sample, metric)
            self._cache |= {(*key[:2], name): estimate for name, estimate in found.items()}
        return self._cache[key]

    def _compute(self, sample: PhaseSamples, metric: str) -> dict[str, Estimate]:
        name, _, statistic = metric.rpartition("_")
        if name == "itl":
            return {f"itl_{key}": value for key, value in _of_gaps(sample, self._sampling(sample)).items()}
        if metric == "recovery_time":
            return {metric: self._recovery(sample)}
        if METRICS[metric].kind == "duration":
            times = sample.times_of(name)
            return {metric: self._sampling(sample).times(times, statistic) if times.values else self._none(metric)}
        return {metric: self._share(sample, metric)}

    def _sampling(self, sample: PhaseSamples) -> Sampling:
        return Sampling(sample.groups, self.tail)

    def _none(self, metric: str) -> Estimate:
        known = METRICS[metric]
        return none(self._missing.get(known.name, known.missing))

    def _recovery(self, sample: PhaseSamples) -> Estimate:
        """The longest of its rounds: it describes this run alone, as a maximum does.

        Of one that never came it is known that it takes longer than was watched.
        """
        if self._recoveries is None:
            return self._none("recovery_time")
        found = self._recoveries.of(sample.name, sample.only_of)
        if found.time is None:
            return none(found.missing)
        if math.isinf(found.time):
            return replace(exact(found.time, found.requests), low=found.watched)
        return exact(found.time, found.requests)

    def _share(self, sample: PhaseSamples, metric: str) -> Estimate:
        gaps, sampling = sample.by_stream, self._sampling(sample)
        if is_of_gaps(metric) and not sample.has_moved and not any(gaps.stalls):
            return none("no stream that began here received a token")
        match metric:
            case metric if metric in SHARES_OF_STREAMS:
                base = sample.base_of_share(metric)
                if not base and metric not in OF_ALL_STREAMS:
                    return self._none(metric)
                hits = {stream.number for stream in sample.share_of_streams(metric)}
                return sampling.share(hits, [stream.number for stream in base])
            case "goodput":
                return _goodput(sample, sample.delivered & self._good, sampling)
            case "tokens_per_second":
                return _throughput(sample, sampling)
            case "stalls_per_minute":
                return sampling.ratio(gaps.streams, gaps.stalls, [length / MINUTE for length in gaps.length])
            case "stall_interval_fraction":
                return sampling.ratio(gaps.streams, gaps.stalls, gaps.counts, most=1.0)
            case "stall_ratio":
                return sampling.ratio(gaps.streams, gaps.wait, gaps.length, most=1.0)
            case "delivered_fraction":
                return self._delivered(sample)
        raise ValueError(f"{metric!r} is no metric")

    def not_good(self, sample: PhaseSamples) -> list[int]:
        """The streams that ended in a phase and are no goodput."""
        dead = {stream.number for stream in sample.interrupted}
        return sorted((sample.delivered | dead) - self._good)

    def undelivered(self, sample: PhaseSamples) -> dict[int, float]:
        """The streams of a phase that did not receive all tokens that were meant for them, and how many they miss."""
        missing = {stream.number: self._intended.get(stream.number, 0) - stream.tokens for stream in sample.counted}
        return {number: tokens for number, tokens in missing.items() if tokens > 0}

    def _delivered(self, sample: PhaseSamples) -> Estimate:
        known = [stream for stream in sample.counted if stream.number in self._intended]
        if not known:
            return none("only the reference server records how much it meant to send")
        missing = self.undelivered(sample)
        streams = [stream.number for stream in known]
        lost, meant = [missing.get(number, 0) for number in streams], [self._intended[number] for number in streams]
        short = self._sampling(sample).ratio(streams, lost, meant, most=1.0)
        if short.value is None:
            return short
        return replace(short, value=1 - short.value, low=1 - short.high, high=1 - short.low)


def _of_gaps(sample: PhaseSamples, sampling: Sampling) -> dict[str, Estimate]:
    if not len(sample.gaps):
        return dict.fromkeys(
            (*(f"p{percent}" for percent in GAP_PERCENTS), "max", "mean"), none(METRICS["itl_p50"].missing)
        )
    sums = sample.by_stream
    unfinished, lengths = sample.gaps.are_unfinished, sample.gaps.length
    longest = exact(int(lengths.max()), len(sums.streams))
    if (lengths[unfinished] == longest.value).any():
        longest = replace(longest, high=math.inf)
    mean = sampling.mean(sums.streams, sums.length, sums.counts)
    return {**sampling.gaps(sample.gaps, sums.streams), "mean": mean, "max": longest}


def _goodput(sample: PhaseSamples, good: frozenset[int], sampling: Sampling) -> Estimate:
    """Good streams that ended in the phase, over its length."""
    streams = sample.delivered | {stream.number for stream in sample.counted}
    if not sample.seconds or not streams:
        return none("no stream began or ended here")
    return sampling.number_per_second(good, sample.seconds, streams)


def _throughput(sample: PhaseSamples, sampling: Sampling) -> Estimate:
    """Tokens of each stream that received any in the phase, over its length."""
    streams = max(list(sample.tokens), [stream.number for stream in sample.counted], key=len)
    if not sample.seconds or not streams:
        return none("no stream began here, and no token arrived")
    return sampling.tokens_per_second(sample.tokens, sample.seconds, streams)
