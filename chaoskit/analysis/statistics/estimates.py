"""Estimates one metric of one phase: its value, its 95 % interval and its resamples.

Values are in base units: ns, shares of 1, numbers per minute or second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from chaoskit import intervals
from chaoskit.analysis.result import Unit
from chaoskit.analysis.statistics import bootstrap
from chaoskit.analysis.statistics.bootstrap import Resamples
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank, rank_of
from chaoskit.analysis.streams.phase_samples import OF_ALL_STREAMS, PhaseSamples
from chaoskit.analysis.streams.recovery import Recoveries
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.seed import derive
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.sample_size import MIN_STREAMS, SHARES_OF_STREAMS

MINUTE = 60 * 10**9
_GAP_PERCENTS = (50, 90, 95, 99)


@dataclass(frozen=True)
class Estimate:
    """One metric. `streams` is how many it is computed from; without a value `missing` says why."""

    value: float | None
    low: float = 0.0
    high: float = math.inf
    streams: int = 0
    resamples: Resamples | None = None
    missing: str = ""

    def scaled(self, factor: float = 1.0) -> IntervalEstimate:
        """As the result has it, multiplied by `factor`."""
        if self.value is None:
            return IntervalEstimate(value=None, missing=self.missing)
        return IntervalEstimate(value=self.value * factor, low=self.low * factor, high=self.high * factor)


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
    knows a better one than that of the table.
    """

    def __init__(
        self,
        seed: int,
        good: frozenset[int],
        intended: Mapping[int, int],
        recoveries: Recoveries | None = None,
        missing: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._seed, self._good, self._intended = seed, good, intended
        self._recoveries, self._missing = recoveries, missing
        self._cache: dict[tuple[str, str, str], Estimate] = {}

    def of(self, sample: PhaseSamples, metric: str) -> Estimate:
        """The estimate of a metric, named as in objectives."""
        key = (sample.name, sample.population, metric)
        if key not in self._cache:
            found = self._compute(sample, metric)
            self._cache |= {(*key[:2], name): estimate for name, estimate in found.items()}
        return self._cache[key]

    def _compute(self, sample: PhaseSamples, metric: str) -> dict[str, Estimate]:
        name, _, statistic = metric.rpartition("_")
        whose = (sample.name, *([sample.population] if sample.population else []))
        seed = derive(self._seed, "bootstrap", *whose, metric if name != "itl" else name)
        if name == "itl":
            return {f"itl_{key}": value for key, value in _gaps(sample, seed).items()}
        if metric == "recovery_time":
            return {metric: self._recovery(sample)}
        if METRICS[metric].kind == "duration":
            values = sorted(value for _, value in sample.times.get(name, []))
            return {metric: _latency(values, statistic, seed) if values else self._none(metric)}
        return {metric: self._share(sample, metric, seed)}

    def _none(self, metric: str) -> Estimate:
        known = METRICS[metric]
        return Estimate(None, missing=self._missing.get(known.name, known.missing))

    def _recovery(self, sample: PhaseSamples) -> Estimate:
        """The longest of its rounds: it describes this run alone, as a maximum does.

        Of one that never came it is known that it takes longer than was watched.
        """
        if self._recoveries is None:
            return self._none("recovery_time")
        found = self._recoveries.of(sample.name, sample.only_of)
        if found.time is None:
            return Estimate(None, missing=found.missing)
        if math.isinf(found.time):
            return replace(_exact(found.time, found.requests), low=found.watched)
        return _exact(found.time, found.requests)

    def _share(self, sample: PhaseSamples, metric: str, seed: int) -> Estimate:
        gaps = sample.by_stream
        if is_of_gaps(metric) and not sample.has_moved and not any(gaps.stalls):
            return Estimate(None, missing="no stream that began here received a token")
        match metric:
            case metric if metric in SHARES_OF_STREAMS:
                base = sample.base_of_share(metric)
                if not base and metric not in OF_ALL_STREAMS:
                    return self._none(metric)
                return _share(len(sample.share_of_streams(metric)), len(base), seed)
            case "goodput":
                return _goodput(sample, len(sample.delivered & self._good), seed)
            case "tokens_per_second":
                return _throughput(sample, seed)
            case "stalls_per_minute":
                return _ratio(gaps.stalls, [length / MINUTE for length in gaps.length], seed)
            case "stall_interval_fraction":
                return _ratio(gaps.stalls, gaps.counts, seed, most=1.0)
            case "stall_ratio":
                return _ratio(gaps.wait, gaps.length, seed, most=1.0)
            case "delivered_fraction":
                return self._delivered(sample, seed)
        raise ValueError(f"{metric!r} is no metric")

    def not_good(self, sample: PhaseSamples) -> list[int]:
        """The streams that ended in a phase and are no goodput."""
        dead = {stream.number for stream in sample.interrupted}
        return sorted((sample.delivered | dead) - self._good)

    def undelivered(self, sample: PhaseSamples) -> dict[int, float]:
        """The streams of a phase that did not receive all tokens that were meant for them, and how many they miss."""
        missing = {stream.number: self._intended.get(stream.number, 0) - stream.tokens for stream in sample.counted}
        return {number: tokens for number, tokens in missing.items() if tokens > 0}

    def _delivered(self, sample: PhaseSamples, seed: int) -> Estimate:
        known = [stream for stream in sample.counted if stream.number in self._intended]
        if not known:
            return Estimate(None, missing="only the reference server records how much it meant to send")
        missing = self.undelivered(sample)
        lost = [missing.get(stream.number, 0) for stream in known]
        short = _ratio(lost, [self._intended[stream.number] for stream in known], seed, most=1.0)
        if short.value is None or short.resamples is None:
            return short
        resamples = Resamples(1 - short.resamples.high, 1 - short.resamples.low)
        return Estimate(1 - short.value, 1 - short.high, 1 - short.low, short.streams, resamples)


_STATISTICS = (*(f"p{percent}" for percent in _GAP_PERCENTS), "max", "mean")


def _latency(values: list[float], statistic: str, seed: int) -> Estimate:
    count = len(values)
    if statistic == "max":
        return _exact(values[-1], count)
    if statistic == "mean":
        mean = math.fsum(values) / count
        return _resampled(mean, count, bootstrap.resample_mean(values, seed))
    percent = int(statistic.removeprefix("p"))
    low, high = intervals.order_statistic_ranks(percent, count)
    return Estimate(
        nearest_rank(values, percent),
        values[low - 1] if low else 0.0,
        values[high - 1] if high <= count else math.inf,
        count,
        bootstrap.resample_quantile(values, percent, seed),
    )


def _gaps(sample: PhaseSamples, seed: int) -> dict[str, Estimate]:
    if not len(sample.gaps):
        nothing = Estimate(None, missing=METRICS["itl_p50"].missing)
        return dict.fromkeys(_STATISTICS, nothing)
    sums, count = sample.by_stream, len(sample.gaps)
    streams = len(sums.streams)
    resampled = bootstrap.resample_gap_percentiles(sample.gaps.length, sample.gaps.stream, _GAP_PERCENTS, seed)
    lengths = sample.gaps.length
    lengths.sort()
    found = {
        f"p{percent}": _resampled(int(lengths[rank_of(percent, count) - 1]), streams, resamples)
        for percent, resamples in zip(_GAP_PERCENTS, resampled, strict=True)
    }
    means = bootstrap.resample_ratio(sums.length, sums.counts, streams, seed)
    found["mean"] = _resampled(float(sum(sums.length)) / count, streams, means)
    found["max"] = _exact(int(lengths[-1]), streams)
    return found


def _share(hits: int, count: int, seed: int) -> Estimate:
    if not count:
        return Estimate(None, missing="no stream ended here")
    low, high = intervals.clopper_pearson(hits, count)
    return Estimate(hits / count, low, high, count, bootstrap.resample_share(hits, count, seed))


def _goodput(sample: PhaseSamples, good: int, seed: int) -> Estimate:
    """Good streams that ended in the phase, over its length."""
    streams = len(sample.delivered | {stream.number for stream in sample.counted})
    if not sample.seconds or not streams:
        return Estimate(None, missing="no stream began or ended here")
    resamples = bootstrap.resample_rate(good, sample.seconds, seed)
    low, high = resamples.interval
    return Estimate(good / sample.seconds, low, high, streams, resamples)


def _throughput(sample: PhaseSamples, seed: int) -> Estimate:
    """Tokens of each stream that received any in the phase, over its length."""
    streams = max(len(sample.tokens), len(sample.counted))
    if not sample.seconds or not streams:
        return Estimate(None, missing="no stream began here, and no token arrived")
    resamples = bootstrap.resample_sum(tuple(sample.tokens.values()), sample.seconds, seed)
    return _resampled(sum(sample.tokens.values()) / sample.seconds, streams, resamples)


def _ratio(hits: Sequence[float], wholes: Sequence[float], seed: int, most: float = math.inf) -> Estimate:
    """A ratio of sums over streams. The exposure of one that is at most 1 is the number of streams."""
    if not sum(wholes):
        return Estimate(None, missing="no stream had two tokens")
    exposure = len(wholes) if most == 1.0 else sum(wholes)
    resamples = bootstrap.resample_ratio(hits, wholes, exposure, seed)
    resamples = Resamples(resamples.low.clip(max=most), resamples.high.clip(max=most))
    found = _resampled(sum(hits) / sum(wholes), len(wholes), resamples, most)
    if most == 1.0 and sum(hits) >= sum(wholes) and len(wholes) >= MIN_STREAMS:
        return replace(found, low=max(0.0, 1 - intervals.most_unseen(exposure)))
    if any(hits) or len(wholes) < MIN_STREAMS:
        return found
    return replace(found, high=min(most, intervals.most_unseen(exposure)))


def _resampled(value: float, streams: int, resamples: Resamples, most: float = math.inf) -> Estimate:
    """With the interval of its resamples; with too few streams it is unbounded."""
    if streams < MIN_STREAMS:
        resamples = bootstrap.unbounded(most)
    low, high = resamples.interval
    return Estimate(value, min(low, value), max(high, value), streams, resamples)


def _exact(value: float, streams: int) -> Estimate:
    """A maximum describes this run alone, and has no interval."""
    return Estimate(value, value, value, streams, bootstrap.resample_mean([value], 0))
