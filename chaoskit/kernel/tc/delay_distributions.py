"""Computes the delay distribution tables of netem.

A table is the inverse of a cumulative distribution, sampled evenly, in units of 1/8192 of the jitter
(NETEM_DIST_SCALE in linux/pkt_sched.h); netem picks a random entry. The tables are computed instead of read
from iproute2's *.dist files; they are equal to within one unit.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

MAX_ENTRIES = 16384  # NETEM_DIST_MAX
NAMES = ("uniform", "normal", "pareto", "paretonormal")
_SCALE = 8192
_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1


def table(distribution: str | tuple[int, ...]) -> tuple[int, ...]:
    """The int16 entries of a named distribution, or checked entries of the author.

    Raises ValueError for an unknown name, no entry, more than 16384, or an entry beyond int16.
    """
    if isinstance(distribution, str):
        return _named(distribution)
    if not 1 <= len(distribution) <= MAX_ENTRIES:
        raise ValueError(f"a distribution table has 1 to {MAX_ENTRIES} entries, this one {len(distribution)}")
    if not all(_INT16_MIN <= entry <= _INT16_MAX for entry in distribution):
        raise ValueError(f"an entry of a distribution table is between {_INT16_MIN} and {_INT16_MAX}")
    return distribution


@cache
def _named(name: str) -> tuple[int, ...]:
    match name:
        case "uniform":  # netem's default; needed as a table, because a table cannot be unloaded
            return tuple(round((2 * (step + 0.5) / 4096 - 1) * _SCALE) for step in range(4096))
        case "normal":
            return tuple(_entry(round(sigmas * _SCALE)) for sigmas in _normal())
        case "pareto":
            return tuple(_entry(round(sigmas * _SCALE)) for sigmas in _pareto())
        case "paretonormal":
            mixed = (0.25 * normal + 0.75 * pareto for normal, pareto in zip(_normal(), _pareto(), strict=True))
            return tuple(_entry(int(sigmas * _SCALE)) for sigmas in mixed)
        case _:
            raise ValueError(f"no distribution is called {name!r}; there are {', '.join(NAMES)}")


def _normal() -> list[float]:
    """4096 quantiles, at the midpoints that iproute2's normal.c takes."""
    return [NormalDist().inv_cdf((step + 0.5) / 16384) for step in range(0, 16384, 4)]


def _pareto() -> list[float]:
    """4096 quantiles of a Pareto distribution with a = 3, scaled to mean 0 and standard deviation 1 (pareto.c)."""
    quantiles = ((step / 65536) ** (-1 / 3) for step in range(65536, 0, -16))
    return [min(_INT16_MAX / _SCALE, (quantile - 1.5) * 4 / 3) for quantile in quantiles]


def _entry(value: int) -> int:
    return max(_INT16_MIN, min(_INT16_MAX, value))
