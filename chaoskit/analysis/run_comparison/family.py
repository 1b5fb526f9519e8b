"""Controls the error of many comparisons at once, with intervals: Holm's procedure with weights.

Of runs without a difference, at most 5 % have any comparison whose interval excludes no difference: Holm, Scandinavian
Journal of Statistics 6 (1979), with weights in section 4. Each comparison gets its part of the error, by weight; the
parts of those that are found to differ go to the others, until none is found any more. It holds however the comparisons
depend on one another, as percentiles of the same streams do.

Half of the error is that of the comparisons that somebody named beforehand, in objectives or tolerances: they are few,
so that each keeps a narrow interval. The other half is that of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def weights(named: Iterable[T], others: Iterable[T]) -> dict[T, float]:
    """The part of the error of each; all together 1."""
    groups = [group for group in (list(named), list(others)) if group]
    return {each: 1 / len(groups) / len(group) for group in groups for each in group}


def tails(parts: Mapping[T, float], differs: Callable[[T, float], bool]) -> dict[T, float]:
    """Which part of the usual probability lies beyond each end of the interval that decides each comparison.

    `differs` says whether an interval with such a part excludes no difference.
    """
    found: dict[T, float] = {}
    left = dict(parts)
    while left:
        whole = sum(left.values())
        now = {each: part / whole for each, part in left.items()}
        found |= now
        differing = {each for each in left if differs(each, now[each])}
        if not differing:
            break
        left = {each: part for each, part in left.items() if each not in differing}
    return found
