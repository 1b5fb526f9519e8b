"""Simulates how often 95 % intervals hold the truth: at least 2,000 synthetic runs of each metric and size.

`make coverage`. Every run is drawn from a known distribution, estimated by the functions that estimate the streams of a
run directory, and compared with the true value. Prints a Markdown table: how often the interval held the truth, lay
wholly below it, and above. `!` marks what holds it in less than 93 %, or misses on one side in more than 3.5 %; `wide`
what holds it in more than 97 %; `>=` what is exact, and so has steps: it holds the truth in at least 95 %. Of runs that
end when all is decided (`coverage_of_looks`) each interval that misses is a wrong verdict; `!` marks more than 6 %.

The distributions are hard on purpose: latencies are log-normal with a tenth of slow ones, stalls gather in few streams,
so that their number varies two to six times as much as a Poisson distribution's, the gaps of a stream share a pace.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from coverage_of_groups import grouped
from coverage_of_looks import sequential

from chaoskit.analysis.statistics import estimators, mover
from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.streams.latencies import Unreached
from chaoskit.spec.interleaving import in_order

Random = np.random.Generator
Floats = NDArray[np.float64]
Draw = Callable[[Random, int], Floats]
_MANY = 2_000_000  # values that a true quantile is taken from
_PIECE = 250  # runs that a process makes at a time
UNTIL = "until decided"


@dataclass(frozen=True)
class Case:
    """A metric of runs of one size. `run` draws one and estimates it. `is_exact`: at least 95 % by construction."""

    metric: str
    size: str
    truth: float
    run: Callable[[Random], tuple[float, float]]
    is_exact: bool = False


@dataclass
class Count:
    """Of so many runs: those whose interval lies below the truth, and above it."""

    runs: int = 0
    below: int = 0
    above: int = 0
    widths: list[float] = field(default_factory=list)

    @property
    def covered(self) -> float:
        """In per cent."""
        return 100 - 100 * (self.below + self.above) / self.runs


def steady(random: Random, count: int) -> Floats:
    """Latencies of a service that is well, ms."""
    return random.lognormal(math.log(300), 0.4, count)


def mixed(random: Random, count: int) -> Floats:
    """The same with a tenth of slow ones."""
    return np.where(random.random(count) < 0.1, 4, 1) * random.lognormal(math.log(400), 0.5, count)


def censored(random: Random, count: int) -> Floats:
    """The same with 3 % that are never reached."""
    return np.where(random.random(count) < 0.03, np.inf, mixed(random, count))


def quantile(draw: Draw, percent: int) -> float:
    """The true percentile of a distribution."""
    values = np.sort(draw(np.random.default_rng(99), _MANY))
    return float(values[-(-percent * len(values) // 100) - 1])


def of_values(draw: Draw, statistic: str, count: int, random: Random) -> Estimate:
    return estimators.of_values(np.sort(draw(random, count)).tolist(), statistic)


def given_up(patience: float, statistic: str, count: int, random: Random) -> Estimate:
    """Times of which those above `patience` were not waited for."""
    values = mixed(random, count)
    is_late = values > patience
    gone = dict.fromkeys(np.flatnonzero(is_late).tolist(), patience)
    found = np.where(is_late, math.inf, values).tolist()
    return estimators.of_times(CensoredTimes(enumerate(found), Unreached(given_up=gone)), statistic)


def cut_off(longest: float, statistic: str, count: int, random: Random) -> Estimate:
    """Times of streams that began at any moment of the last `longest` ms of a run."""
    values, left = mixed(random, count), random.random(count) * longest
    is_cut = values > left
    cut = {number: float(left[number]) for number in np.flatnonzero(is_cut).tolist()}
    pairs = [(number, float(values[number])) for number in np.flatnonzero(~is_cut).tolist()]
    return estimators.of_times(CensoredTimes(pairs, Unreached(cut=cut)), statistic)


def died(chance: float, statistic: str, count: int, random: Random) -> Estimate:
    """Gaps of streams of which some die at any moment of one of their gaps, which is then their last one."""
    lengths, owners = gaps(random, count)
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    sizes = np.diff(starts, append=len(owners))
    place = np.where(random.random(count) < chance, (random.random(count) * sizes).astype(int), len(owners))
    rank = np.arange(len(owners)) - np.repeat(starts, sizes)
    is_last = rank == np.repeat(place, sizes)
    lengths = np.where(is_last, lengths * random.random(len(lengths)), lengths).astype(np.int64)
    is_there = rank <= np.repeat(place, sizes)
    return estimators.of_gaps(lengths[is_there], owners[is_there], is_last[is_there])[statistic]


def stalls(mean: float, shape: float, count: int, random: Random) -> Estimate:
    """Stalls of streams of 20 s on average; the smaller `shape` is, the more they gather in few of them."""
    minutes = random.lognormal(math.log(1 / 3), 0.4, count)
    rate = random.gamma(shape, mean / shape, count) if math.isfinite(shape) else np.full(count, mean)
    return estimators.ratio(random.poisson(rate * minutes).tolist(), minutes.tolist())


def rare_stalls(count: int, random: Random) -> Estimate:
    """One stream in twenty has nearly all of them."""
    minutes = np.full(count, 1 / 3)
    rate = np.where(random.random(count) < 0.05, 30.0, 1.5)
    return estimators.ratio(random.poisson(rate * minutes).tolist(), minutes.tolist())


def waiting(count: int, random: Random) -> Estimate:
    """A share of time: 60 % of the streams never wait."""
    length = random.lognormal(3, 0.4, count)
    waits = np.where(random.random(count) < 0.6, 0, random.beta(2, 14, count)) * length
    return estimators.ratio(waits.tolist(), length.tolist(), most=1.0)


def gaps(random: Random, count: int, each: int = 80) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gaps in us: of a pace that is the stream's, and 2 % of stalls, which gather in few streams."""
    sizes = random.integers(each // 2, each * 3 // 2 + 1, count)
    owner = np.repeat(np.arange(count), sizes)
    pace = random.lognormal(0, 0.15, count)[owner]
    stalled = random.random(len(owner)) < random.beta(0.5, 24.5, count)[owner]
    long, usual = (
        random.lognormal(math.log(400_000), 0.5, len(owner)),
        random.lognormal(math.log(25_000), 0.3, len(owner)),
    )
    return np.where(stalled, long, usual * pace).astype(np.int64), owner


def percentile_of_gaps(percent: int, count: int, random: Random) -> Estimate:
    lengths, owners = gaps(random, count)
    return estimators.of_gaps(lengths, owners)[f"p{percent}"]


def share(chance: float, count: int, random: Random) -> Estimate:
    return estimators.share(int(random.binomial(count, chance)), count)


def goodput(rate: float, seconds: float, random: Random) -> Estimate:
    number = int(random.poisson(rate * seconds))
    return estimators.number_per_second(number, seconds, number)


def throughput(rate: float, seconds: float, random: Random) -> Estimate:
    number = int(random.poisson(rate * seconds))
    return estimators.tokens_per_second(random.geometric(1 / 120, number).astype(float).tolist(), seconds, number)


def interval(estimate: Callable[[Random], Estimate], random: Random) -> tuple[float, float]:
    found = estimate(random)
    return found.low, found.high


def compared(
    combine: Callable[[mover.Bounded, mover.Bounded], tuple[float, float]],
    one: Callable[[Random], Estimate],
    other: Callable[[Random], Estimate],
    random: Random,
) -> tuple[float, float]:
    """The interval of a difference or a ratio of two phases. Open where the reference has nothing to compare with."""
    value, reference = one(random).bounded, other(random).bounded
    assert value is not None
    assert reference is not None
    if combine is mover.ratio_interval and (not reference.value or math.isinf(reference.value)):
        return 0.0, math.inf
    return (-math.inf, math.inf) if math.isinf(reference.value) else combine(value, reference)


def drifting(statistic: str, is_interleaved: bool, size: int, random: Random) -> tuple[float, float]:
    """The ratio of two phases of 8 rounds or of one, while everything becomes slower by 60 % during the run."""
    rounds = 8 if is_interleaved else 1
    order = interleaving(rounds, int(random.integers(2**32))) if is_interleaved else [0, 1]
    found: list[list[float]] = [[], []]
    for at, phase in enumerate(order):
        when = (at + random.random(size // rounds)) / len(order)
        found[phase].extend((1 + 0.6 * when) * (1, 1.5)[phase] * steady(random, size // rounds))
    base, fault = (estimators.of_values(sorted(values), statistic).bounded for values in found)
    assert base is not None
    assert fault is not None
    return mover.ratio_interval(fault, base)


@dataclass(frozen=True)
class Block:
    """A phase of a round."""

    name: str
    length: int = 1


def interleaving(rounds: int, seed: int) -> list[int]:
    """The order of two phases in so many rounds."""
    both = (Block("0"), Block("1"))
    return [int(block.name) for number in range(rounds) for block in in_order(both, "interleaved", number, seed)]


def cases() -> Iterator[Case]:
    """All of them."""
    single = partial(partial, interval)
    for percent, sizes in ((50, (10, 20, 50, 150)), (90, (40, 150)), (95, (40, 72, 100, 200)), (99, (400, 1000))):
        truth = quantile(mixed, percent)
        for size in sizes:
            run = single(partial(of_values, mixed, f"p{percent}", size))
            yield Case(f"`ttft_p{percent}`", f"{size}", truth, run, is_exact=True)
    for size in (72, 200):
        run = single(partial(of_values, censored, "p95", size))
        yield Case("`ttft_p95`, 3 % *never*", f"{size}", quantile(censored, 95), run, is_exact=True)
    for size in (10, 20, 50, 150):
        yield Case("`ttft_mean`", f"{size}", 300 * math.exp(0.08), single(partial(of_values, steady, "mean", size)))
    for name, shape in (("Poisson", math.inf), ("variance x2", 1.0), ("variance x4", 0.35)):
        for size in (20, 50, 150):
            yield Case(f"`stalls_per_minute`, {name}", f"{size}", 3.0, single(partial(stalls, 3.0, shape, size)))
    for size in (50, 150, 500):
        truth = 0.05 * 30 + 0.95 * 1.5
        yield Case("`stalls_per_minute`, half in 1 of 20", f"{size}", truth, single(partial(rare_stalls, size)))
    for size in (20, 50, 150):
        yield Case("`stall_ratio`", f"{size}", 0.4 * 2 / 16, single(partial(waiting, size)))
    pool = np.sort(gaps(np.random.default_rng(98), 40_000)[0])
    for percent in (50, 90, 95, 99):
        truth = float(pool[-(-percent * len(pool) // 100) - 1])
        for size in (12, 20, 50, 150):
            yield Case(f"`itl_p{percent}`", f"{size}", truth, single(partial(percentile_of_gaps, percent, size)))
    for chance in (0.02, 0.2):
        for size in (50, 200):
            yield Case(
                f"`interruption_rate` {chance:.0%}", f"{size}", chance, single(partial(share, chance, size)), True
            )
    for number in (10, 100):
        yield Case("`goodput`", f"about {number}", 2.0, single(partial(goodput, 2.0, number / 2)), True)
        run = single(partial(throughput, 2.0, number / 2))
        yield Case("`tokens_per_second`", f"about {number}", 240.0, run)
    yield from comparisons()
    of_gaps = (gaps, lambda percent: float(pool[-(-percent * len(pool) // 100) - 1]))
    for metric, looks, truth, ending, is_exact in sequential(steady, mixed, quantile, of_gaps):
        yield Case(f"{UNTIL}: {metric}", looks, truth, ending, is_exact)
    yield from censored_cases()
    yield from (Case(*drawn) for drawn in grouped())


def censored_cases() -> Iterator[Case]:
    """Times that this client did not wait for, or that the end of the run cut off, and gaps in which streams died."""
    for gone in (10, 30):
        patience = quantile(mixed, 100 - gone)
        for percent, size in ((50, 100), (90, 100), (95, 200), (99, 400)):
            run = partial(interval, partial(given_up, patience, f"p{percent}", size))
            yield Case(f"`ttft_p{percent}`, {gone} % given up", f"{size}", quantile(mixed, percent), run, True)
    for gone, longest in ((10, 5_900), (30, 1_840)):
        for percent, size in ((50, 100), (90, 200)):
            run = partial(interval, partial(cut_off, longest, f"p{percent}", size))
            yield Case(f"`ttft_p{percent}`, {gone} % cut off", f"{size}", quantile(mixed, percent), run, True)
    pool = np.sort(gaps(np.random.default_rng(98), 40_000)[0])
    for percent in (50, 95, 99):
        truth = float(pool[-(-percent * len(pool) // 100) - 1])
        run = partial(interval, partial(died, 0.2, f"p{percent}", 100))
        yield Case(f"`itl_p{percent}`, 20 % die", "100", truth, run)


def comparisons() -> Iterator[Case]:
    """Differences and ratios of two phases."""
    for percent, sizes in ((50, (10, 20, 50, 150)), (90, (40, 100)), (95, (80, 200)), (99, (400,))):
        value, reference = quantile(mixed, percent), quantile(steady, percent)
        for size in sizes:
            phases = (partial(of_values, mixed, f"p{percent}", size), partial(of_values, steady, f"p{percent}", size))
            for name, combine, truth in (
                ("ratio", mover.ratio_interval, value / reference),
                ("difference", mover.difference_interval, value - reference),
            ):
                yield Case(f"{name} of `ttft_p{percent}`", f"2 x {size}", truth, partial(compared, combine, *phases))
    for size in (20, 50, 150):
        pair = (partial(stalls, 6.0, 1.0, size), partial(stalls, 3.0, 1.0, size))
        yield Case("ratio of `stalls_per_minute`", f"2 x {size}", 2.0, partial(compared, mover.ratio_interval, *pair))
        means = (partial(of_values, mixed, "mean", size), partial(of_values, steady, "mean", size))
        truth = 400 * 1.3 * math.exp(0.125) / (300 * math.exp(0.08))
        yield Case("ratio of `ttft_mean`", f"2 x {size}", truth, partial(compared, mover.ratio_interval, *means))
    for order in ("as written", "interleaved"):
        for statistic in ("p50", "mean"):
            run = partial(drifting, statistic, order == "interleaved", 80)
            yield Case(f"ratio of `ttft_{statistic}`, drift, {order}", "2 x 80", 1.5, run)
    for size in (50, 200):
        shares = (partial(share, 0.2, size), partial(share, 0.1, size))
        for name, combine, truth in (
            ("ratio", mover.ratio_interval, 2.0),
            ("difference", mover.difference_interval, 0.1),
        ):
            run = partial(compared, combine, *shares)
            yield Case(f"{name} of `interruption_rate`", f"2 x {size}", truth, run)


def count_runs(number: int, seed: int, runs: int) -> tuple[int, Count]:
    """The runs of one piece of a case."""
    case, random, found = _cases()[number], np.random.default_rng((number, seed)), Count(runs)
    for _ in range(runs):
        low, high = case.run(random)
        found.below += high < case.truth
        found.above += low > case.truth
        found.widths.append((high - low) / case.truth if low < math.inf else math.inf)
    return number, found


_known: list[Case] = []


def _cases() -> list[Case]:
    if not _known:
        _known.extend(cases())
    return _known


def row(case: Case, found: Count) -> str:
    """One line of the table."""
    below, above = 100 * found.below / found.runs, 100 * found.above / found.runs
    is_bad = found.covered < 93 or max(below, above) > 3.5
    if case.metric.startswith(UNTIL):  # 4 to 6 % are wrong
        is_bad = found.covered < 94
    mark = " !" if is_bad else " >=" if case.is_exact else " wide" if found.covered > 97 else ""
    width = float(np.median(found.widths))
    shown = "open" if not math.isfinite(width) else f"{100 * width:.0f} %"
    return f"| {case.metric} | {case.size} | {found.covered:.1f}{mark} | {below:.1f} | {above:.1f} | {shown} |"


def main() -> int:
    """Prints the table as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000, help="of each metric and size")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="the metrics with this in their name")
    chosen = parser.parse_args()
    began = time.monotonic()
    wanted = [number for number, case in enumerate(_cases()) if chosen.only in case.metric]
    print("| metric | streams | covers | too low | too high | width |\n|---|--:|--:|--:|--:|--:|", flush=True)
    with ProcessPoolExecutor(chosen.processes) as pool:
        pieces = [
            pool.submit(count_runs, number, seed, min(_PIECE, chosen.runs - seed))
            for number in wanted
            for seed in range(0, chosen.runs, _PIECE)
        ]
        totals: dict[int, Count] = {}
        for piece in pieces:
            number, found = piece.result()
            total = totals.setdefault(number, Count())
            total.runs += found.runs
            total.below += found.below
            total.above += found.above
            total.widths += found.widths
            if total.runs == chosen.runs:
                print(row(_cases()[number], total), flush=True)
    print(f"\n{len(wanted)} cases of {chosen.runs} runs, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
