"""One metric of one part: its value, its 95 % interval, and the guesses that comparisons are made of.

Values are in base units here: ns, shares of 1, numbers per minute or second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.analysis.result import Estimated, Unit
from chaoskit.analysis.statistics import bootstrap, intervals
from chaoskit.analysis.statistics.bootstrap import Draws
from chaoskit.analysis.statistics.quantiles import MS, nearest, rank
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.seed import derive
from chaoskit.spec.objectives import METRICS

MINUTE = 60 * 10**9
FEW = 10  # streams below which resampling says nothing about the next run
_GAP_PERCENTS = (50, 90, 95, 99)


@dataclass(frozen=True)
class Estimate:
    """`streams` is how many it rests on; without a value `missing` says why."""

    value: float | None
    low: float = 0.0
    high: float = math.inf
    streams: int = 0
    draws: Draws | None = None
    missing: str = ""

    def scaled(self, factor: float = 1.0) -> Estimated:
        """As the result shows it."""
        if self.value is None:
            return Estimated(value=None, missing=self.missing)
        return Estimated(value=self.value * factor, low=self.low * factor, high=self.high * factor)


def unit(metric: str) -> Unit:
    """In what the result gives this metric."""
    kind = METRICS.get(metric, "number")
    if kind == "number":
        return "per-second" if metric == "goodput" else "per-minute"
    return "ms" if kind == "duration" else "share"


def scale(metric: str) -> float:
    """From base units to those of the result."""
    return 1 / MS if unit(metric) == "ms" else 1.0


class Estimates:
    """Every metric of every part, worked out when first asked for.

    `good` are the streams that met every objective, `intended` the tokens the server meant to send to each.
    """

    def __init__(self, seed: int, good: frozenset[int], intended: Mapping[int, int]) -> None:
        self._seed, self._good, self._intended = seed, good, intended
        self._known: dict[tuple[str, str], Estimate] = {}

    def of(self, part: PhaseSamples, metric: str) -> Estimate:
        """The estimate of a metric named as in objectives, or of `goodput`."""
        key = (part.name, metric)
        if key not in self._known:
            self._known |= self._work_out(part, metric)
        return self._known[key]

    def _work_out(self, part: PhaseSamples, metric: str) -> dict[tuple[str, str], Estimate]:
        name, _, statistic = metric.rpartition("_")
        seed = derive(self._seed, "bootstrap", part.name, metric if name != "itl" else name)
        if name == "itl":
            return {(part.name, f"itl_{key}"): value for key, value in _gaps(part, seed).items()}
        if metric in METRICS and METRICS[metric] == "duration":
            values = sorted(value for _, value in part.times.get(name, []))
            return {(part.name, metric): _latency(values, statistic, seed)}
        return {(part.name, metric): self._share(part, metric, seed)}

    def _share(self, part: PhaseSamples, metric: str, seed: int) -> Estimate:
        gaps = part.by_stream
        match metric:
            case "interruption_rate":
                return _share(len(part.interrupted), len(part.judged), seed)
            case "goodput":
                return _goodput(part, sum(s.number in self._good for s in part.judged), seed)
            case "stalls_per_minute":
                return _ratio(gaps.stalls, [length / MINUTE for length in gaps.length], seed)
            case "stall_interval_fraction":
                return _ratio(gaps.stalls, gaps.counts, seed, most=1.0)
            case "stall_ratio":
                return _ratio(gaps.wait, gaps.length, seed, most=1.0)
            case "delivered_fraction":
                return self._delivered(part, seed)
        raise ValueError(f"{metric!r} is no metric")

    def _delivered(self, part: PhaseSamples, seed: int) -> Estimate:
        known = [stream for stream in part.judged if stream.number in self._intended]
        if not known:
            return Estimate(None, missing="only the reference server says how much it meant to send")
        meant = [self._intended[stream.number] for stream in known]
        lost = [max(0, wanted - stream.tokens) for stream, wanted in zip(known, meant, strict=True)]
        short = _ratio(lost, meant, seed, most=1.0)
        if short.value is None or short.draws is None:
            return short
        draws = Draws(1 - short.draws.high, 1 - short.draws.low)
        return Estimate(1 - short.value, 1 - short.high, 1 - short.low, short.streams, draws)


_STATISTICS = (*(f"p{percent}" for percent in _GAP_PERCENTS), "max", "mean")


def _latency(values: list[float], statistic: str, seed: int) -> Estimate:
    count = len(values)
    if not values:
        return Estimate(None, missing="no stream came so far")
    if statistic == "max":
        return _exactly(values[-1], count)
    if statistic == "mean":
        mean = math.fsum(values) / count
        return _drawn(mean, count, bootstrap.of_mean(values, seed))
    percent = int(statistic.removeprefix("p"))
    low, high = intervals.ranks(percent, count)
    return Estimate(
        nearest(values, percent),
        values[low - 1] if low else 0.0,
        values[high - 1] if high <= count else math.inf,
        count,
        bootstrap.of_quantile(values, percent, seed),
    )


def _gaps(part: PhaseSamples, seed: int) -> dict[str, Estimate]:
    if not len(part.gaps):
        nothing = Estimate(None, missing="no stream had two tokens")
        return dict.fromkeys(_STATISTICS, nothing)
    sums, count = part.by_stream, len(part.gaps)
    streams = len(sums.streams)
    drawn = bootstrap.of_gaps(part.gaps.length, part.gaps.stream, _GAP_PERCENTS, seed)
    lengths = part.gaps.length
    lengths.sort()
    found = {
        f"p{percent}": _drawn(int(lengths[rank(percent, count) - 1]), streams, draws)
        for percent, draws in zip(_GAP_PERCENTS, drawn, strict=True)
    }
    means = bootstrap.of_ratio(sums.length, sums.counts, streams, seed)
    found["mean"] = _drawn(float(sum(sums.length)) / count, streams, means)
    found["max"] = _exactly(int(lengths[-1]), streams)
    return found


def _share(hits: int, count: int, seed: int) -> Estimate:
    if not count:
        return Estimate(None, missing="no stream ended here")
    low, high = intervals.share(hits, count)
    return Estimate(hits / count, low, high, count, bootstrap.of_share(hits, count, seed))


def _goodput(part: PhaseSamples, good: int, seed: int) -> Estimate:
    if not part.seconds or not part.judged:
        return Estimate(None, missing="no stream ended here")
    draws = bootstrap.of_count(good, part.seconds, seed)
    low, high = draws.interval
    return Estimate(good / part.seconds, low, high, len(part.judged), draws)


def _ratio(hits: list[int], wholes: list[float] | list[int], seed: int, most: float = math.inf) -> Estimate:
    """Of sums over streams. What is at most 1 was seen in as many samples as there are streams."""
    if not sum(wholes):
        return Estimate(None, missing="no stream had two tokens")
    exposure = len(wholes) if most == 1.0 else sum(wholes)
    draws = bootstrap.of_ratio(hits, wholes, exposure, seed)
    draws = Draws(draws.low.clip(max=most), draws.high.clip(max=most))
    return _drawn(sum(hits) / sum(wholes), len(wholes), draws, most)


def _drawn(value: float, streams: int, draws: Draws, most: float = math.inf) -> Estimate:
    """With the interval of its draws; so few streams that they cannot give one leave everything open."""
    if streams < FEW:
        draws = bootstrap.unknown(most)
    low, high = draws.interval
    return Estimate(value, low, high, streams, draws)


def _exactly(value: float, streams: int) -> Estimate:
    """A maximum is a fact about this run and no guess about the next."""
    return Estimate(value, value, value, streams, bootstrap.of_mean([value], 0))
